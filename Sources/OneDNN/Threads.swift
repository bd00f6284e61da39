import COneDNN

/// How many threads oneDNN uses when called from the calling thread: it asks when a primitive is created and again
/// when it is executed, so a primitive made for two threads is to be executed with two set.
package enum Threads {
  package static var count: Int {
    get { Int(odn_thread_count()) }
    set { odn_set_thread_count(Int32(clamping: max(newValue, 1))) }
  }

  /// Runs `body` with `count` threads and puts the former count back.
  package static func with<Result, Failure: Error>(
    _ count: Int, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let former = self.count
    if former == count { return try body() }
    self.count = count
    defer { self.count = former }
    return try body()
  }
}
