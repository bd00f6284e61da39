import Foundation

private func variable(_ name: String) -> String { ProcessInfo.processInfo.environment[name] ?? "" }

/// Which one: `FUZZ_READER`.
let reader: Reader = {
  let name = variable("FUZZ_READER")
  guard let reader = Reader(rawValue: name) else {
    FileHandle.standardError.write(
      Data("FUZZ_READER: expected one of \(Reader.allCases.map(\.rawValue)), got '\(name)'\n".utf8))
    exit(2)
  }
  return reader
}()

/// The most processor time that an input took, in microseconds. One thread reads and writes it.
private nonisolated(unsafe) var slowest = 0

/// What libFuzzer calls first. `FUZZ_PRINT=readers` prints the readers' names, `FUZZ_PRINT=dictionary` the words for the
/// chosen one, `FUZZ_PRINT=seeds` inputs of a line to begin with, from the folder `FUZZ_FIXTURES`.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutableRawPointer?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  switch variable("FUZZ_PRINT") {
  case "readers": print(Reader.allCases.map(\.rawValue).joined(separator: "\n"))
  case "dictionary": print(reader.dictionary, terminator: "")
  case "seeds":
    do {
      for seed in try reader.seeds(in: variable("FUZZ_FIXTURES")) {
        print(String(decoding: seed, as: UTF8.self))
      }
    } catch {
      FileHandle.standardError.write(Data("\(error)\n".utf8))
      exit(1)
    }
  default:
    // libFuzzer tells whole seconds only, of the clock on the wall.
    atexit {
      FileHandle.standardError.write(Data("slowest_unit_time_ms: \(Double(slowest) / 1000)\n".utf8))
    }
    return 0
  }
  exit(0)
}

/// What libFuzzer calls with each input. What a reader throws is its right; what stops the program is found.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let begin = clock()
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  _ = try? reader.read(bytes)
  slowest = max(slowest, (clock() - begin) * 1_000_000 / Int(CLOCKS_PER_SEC))
  return 0
}
