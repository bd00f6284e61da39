import COneDNN

/// Creates something of oneDNN's for one thread: the count is asked when a primitive is created, and decides which code
/// is made and how much scratch memory it wants. Executions see to it themselves.
func forOneThread<Result>(_ create: () throws(OneDNNError) -> Result) throws(OneDNNError) -> Result {
  let former = odn_thread_count()
  if former == 1 { return try create() }
  odn_set_thread_count(1)
  defer { odn_set_thread_count(former) }
  return try create()
}
