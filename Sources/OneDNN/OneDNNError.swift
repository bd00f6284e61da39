import COneDNN

/// A call to oneDNN that didn't succeed: which, with what status, and what was asked of it.
package struct OneDNNError: Error, CustomStringConvertible, Equatable {
  /// The C function's name.
  package var call: String
  /// oneDNN's word for the status, such as `unimplemented`.
  package var status: String
  /// What the call was to do, in the user's terms.
  package var request: String

  package var description: String { "\(call) answered '\(status)' for \(request)" }
}

extension OneDNNError {
  init(call: String, status: dnnl_status_t, request: String) {
    self.init(call: call, status: String(cString: dnnl_status2str(status)), request: request)
  }
}

/// Throws unless `status` is success. `request` is only evaluated for the error.
func check(_ status: dnnl_status_t, _ call: String, _ request: @autoclosure () -> String) throws(OneDNNError)
{
  if status != dnnl_success { throw OneDNNError(call: call, status: status, request: request()) }
}

/// The same for calls that return a handle through a pointer.
func created<Handle>(
  _ call: String, _ request: @autoclosure () -> String, _ body: (inout Handle?) -> dnnl_status_t
) throws(OneDNNError) -> Handle {
  var handle: Handle?
  try check(body(&handle), call, request())
  guard let handle else { throw OneDNNError(call: call, status: "no handle", request: request()) }
  return handle
}
