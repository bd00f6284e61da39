import Foundation

/// Which one: `FUZZ_READER`.
private let reader: Reader = {
  let name = ProcessInfo.processInfo.environment["FUZZ_READER"] ?? ""
  guard let reader = Reader(rawValue: name) else {
    FileHandle.standardError.write(
      Data("FUZZ_READER: expected one of \(Reader.allCases.map(\.rawValue)), got '\(name)'\n".utf8))
    exit(2)
  }
  return reader
}()

/// What libFuzzer calls first. `FUZZ_READER=list` prints the readers' names.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutableRawPointer?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  if ProcessInfo.processInfo.environment["FUZZ_READER"] == "list" {
    print(Reader.allCases.map(\.rawValue).joined(separator: "\n"))
    exit(0)
  }
  return 0
}

/// What libFuzzer calls with each input. What a reader throws is its right; what stops the program is found.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  _ = try? reader.read(bytes)
  return 0
}
