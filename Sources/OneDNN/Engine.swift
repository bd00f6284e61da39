import COneDNN

/// The processor, as oneDNN sees it.
package final class Engine: Sendable {
  nonisolated(unsafe) let handle: dnnl_engine_t

  init() throws(OneDNNError) {
    handle = try created("dnnl_engine_create", "the CPU") { dnnl_engine_create(&$0, dnnl_cpu, 0) }
  }

  deinit { dnnl_engine_destroy(handle) }

  /// The one engine of the process. There is a CPU wherever this runs, so failure is a broken installation.
  package static let shared: Engine = {
    do { return try Engine() } catch { fatalError("oneDNN can't be used: \(error)") }
  }()

  /// The version of the library that was loaded, which may differ from the headers it was compiled against.
  package static var version: (major: Int, minor: Int, patch: Int) {
    let version = dnnl_version().pointee
    return (Int(version.major), Int(version.minor), Int(version.patch))
  }

  /// Whether the processor has instructions that multiply bfloat16.
  package static let multipliesBFloat16: Bool = {
    let wanted = dnnl_cpu_isa_avx512_core_bf16.rawValue
    return dnnl_get_effective_cpu_isa().rawValue & wanted == wanted
  }()

  /// The version of the headers this was compiled against.
  package static let headerVersion = (
    major: Int(DNNL_VERSION_MAJOR), minor: Int(DNNL_VERSION_MINOR), patch: Int(DNNL_VERSION_PATCH)
  )
}

/// Where executions are submitted. On the CPU a stream is in order and synchronous: a call returns when its work is
/// done. It holds no state that concurrent executions would share, so one serves all threads.
package final class Stream: Sendable {
  nonisolated(unsafe) let handle: dnnl_stream_t
  let engine: Engine

  init(engine: Engine = .shared) throws(OneDNNError) {
    self.engine = engine
    handle = try created("dnnl_stream_create", "the CPU") {
      dnnl_stream_create(&$0, engine.handle, UInt32(dnnl_stream_default_flags.rawValue))
    }
  }

  deinit { dnnl_stream_destroy(handle) }

  package static let shared: Stream = {
    do { return try Stream() } catch { fatalError("oneDNN can't be used: \(error)") }
  }()
}
