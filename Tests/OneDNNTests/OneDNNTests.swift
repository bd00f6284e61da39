import COneDNN
import Foundation
import Testing

@testable import OneDNN

@Suite("oneDNN", .serialized)
struct OneDNNTests {
  @Test("the library that is loaded is the one whose headers were compiled")
  func version() {
    let (loaded, compiled) = (Engine.version, Engine.headerVersion)
    print("oneDNN \(loaded.major).\(loaded.minor).\(loaded.patch)")
    #expect(loaded.major == compiled.major && loaded.minor == compiled.minor)
    // scripts/with-onednn-3 says which it built for.
    if let expected = ProcessInfo.processInfo.environment["BACKPROP_EXPECT_ONEDNN"] {
      #expect("\(loaded.major)" == expected)
    }
  }

  @Test("errors carry the call's name, the status and what was asked")
  func errors() {
    #expect(
      throws: OneDNNError(
        call: "dnnl_matmul_primitive_desc_create", status: "invalid_arguments",
        request: "matmul float32[2, 0] · float32[0, 3] → float32")
    ) {
      try Matmul.primitive(for: .init(m: 2, k: 0, n: 3), threads: 1)
    }
    // Types that don't go together: refused by oneDNN itself.
    var odd = Matmul.Description(m: 2, k: 2, n: 2)
    odd.sourceType = .int32
    #expect {
      try Matmul.primitive(for: odd, threads: 1)
    } throws: { error in
      let text = "\(error)"
      return text.contains("dnnl_matmul_primitive_desc_create answered '")
        && text.contains("' for matmul int32[2, 2] · float32[2, 2] → float32")
    }
    #expect {
      try MemoryDescriptor(Layout([2, 3], .float32, strides: [1]))
    } throws: { "\($0)".contains("2 dimensions but 1 strides") }
  }

  @Test("batches that don't fit are refused")
  func batches() {
    let description = Matmul.Description(m: 2, k: 2, n: 2, sourceBatch: [2], weightsBatch: [3])
    #expect(throws: OneDNNError.self) { try Matmul.primitive(for: description, threads: 1) }
  }

  @Test("an execution wants exactly the operands its description has")
  func operands() throws {
    let matmul = try Matmul.primitive(for: .init(m: 2, k: 2, n: 2, bias: true), threads: 1)
    let buffer = Buffer(bytes: 1 << 16)
    #expect {
      try MatmulExecution(
        matmul, source: buffer.data, weights: buffer.data, destination: buffer.data, scratchpad: buffer.data)
    } throws: { "\($0)".contains("bias missing") }
  }

  @Test("a failing execution is noted once, stops what follows and is thrown by the check")
  func failure() throws {
    let matmul = try Matmul.primitive(for: .init(m: 2, k: 2, n: 2), threads: 1)
    let failure = Execution.Failure()
    let (x, y) = (Buffer([1, 2, 3, 4], .float32), Buffer([9, 9, 9, 9], .float32))
    let scratchpad = Buffer(bytes: matmul.scratchpadSize)
    // A primitive without its arguments is what oneDNN refuses at execution.
    let broken = Execution([.init(primitive: matmul.steps[0].primitive, arguments: [])], failure: failure)
    let sound = try MatmulExecution(
      matmul, source: x.data, weights: x.data, destination: y.data, scratchpad: scratchpad.data,
      failure: failure)
    let program = [(broken.run, broken.context), (sound.run, sound.context)]
    for (run, context) in program { run(context) }
    #expect(y.floats(4) == [9, 9, 9, 9])
    #expect {
      try failure.check { $0 == broken.context ? "the broken one" : "another" }
    } throws: { "\($0)" == "dnnl_primitive_execute answered 'invalid_arguments' for the broken one" }
    try failure.check()
    sound.run(sound.context)
    #expect(y.floats(4) == [7, 10, 15, 22])
  }

  @Test("a failing stage ends its lane, is noted, and the next run starts afresh")
  func failingLane() throws {
    let matmul = try Matmul.primitive(for: .init(m: 2, k: 2, n: 2), threads: 1)
    let failure = Execution.Failure()
    let x = Buffer([1, 2, 3, 4], .float32)
    let results = (0..<4).map { _ in Buffer([9, 9, 9, 9], .float32) }
    let scratchpads = (0..<4).map { _ in Buffer(bytes: matmul.scratchpadSize) }
    let descriptor = try MemoryDescriptor(Layout([2, 2], .float32))
    var stages: [Execution.Stage] = []
    for index in 0..<4 {
      let source = try Memory(descriptor, at: x.data)
      let result = try Memory(descriptor, at: results[index].data)
      let scratch = try Memory(matmul.steps[0].primitive.scratchpad, at: scratchpads[index].data)
      // The first of the second lane lacks its operands, which oneDNN refuses at execution.
      let arguments =
        index == 2
        ? []
        : [
          (DNNL_ARG_SRC, source), (DNNL_ARG_WEIGHTS, source), (DNNL_ARG_DST, result),
          (DNNL_ARG_SCRATCHPAD, scratch),
        ]
      stages.append(.init(primitive: matmul.steps[0].primitive, arguments: arguments))
    }
    let execution = Execution(stages, lanes: 2, failure: failure)
    for _ in 0..<2 {
      execution.run(execution.context)
      #expect(throws: OneDNNError.self) { try failure.check() }
      try failure.check()
    }
    withExtendedLifetime((x, scratchpads)) {}
    #expect(results.map { $0.floats(1)[0] } == [7, 7, 9, 9])
  }

  @Test("reorder: transposition, element type, oneDNN's own layouts and back")
  func reorder() throws {
    let (rows, columns) = (5, 7)
    let values = (0..<rows * columns).map { Float($0) }
    let x = Buffer(values, .float32)
    let y = Buffer(Array(repeating: 0, count: values.count), .float32)
    let transpose = try Reorder.primitive(
      for: .init(
        source: Layout([rows, columns], .float32),
        destination: Layout([rows, columns], .float32, strides: [1, rows])))
    let scratchpad = Buffer(bytes: transpose.scratchpadSize)
    try transpose.bind(source: x.data, destination: y.data, scratchpad: scratchpad.data)("a transposition")
    let result = y.floats(values.count)
    for i in 0..<rows { for j in 0..<columns { #expect(result[j * rows + i] == values[i * columns + j]) } }

    let narrow = try Reorder.primitive(
      for: .init(source: Layout([35], .float32), destination: Layout([35], .bfloat16)))
    let z = Buffer(Array(repeating: 0, count: values.count), .bfloat16)
    try narrow.bind(source: x.data, destination: z.data, scratchpad: scratchpad.data)("a conversion")
    #expect(z.floats(values.count) == values)  // up to 256 bfloat16 holds integers exactly
  }

  @Test("the cache returns what it made, tells threads apart and is bounded")
  func cache() {
    let cache = PrimitiveCache<Int, String>(capacity: 3)
    var made: [String] = []
    func get(_ key: Int, _ threads: Int = 1) -> String {
      cache.value(for: key, threads: threads) {
        made.append("\(key)/\(threads)")
        return "\(key)/\(threads)"
      }
    }
    #expect(get(1) == "1/1" && get(1) == "1/1" && get(1, 2) == "1/2" && get(2) == "2/1")
    #expect(made == ["1/1", "1/2", "2/1"])
    _ = get(1)  // now 1/2 was used longest ago
    _ = get(3)
    #expect(cache.count == 3)
    _ = get(1)
    #expect(made == ["1/1", "1/2", "2/1", "3/1"])
    _ = get(1, 2)
    #expect(made == ["1/1", "1/2", "2/1", "3/1", "1/2"])
  }

  @Test("a matmul is made once for each description and thread count")
  func matmulCache() throws {
    let description = Matmul.Description(m: 3, k: 4, n: 5)
    let one = try Matmul.primitive(for: description, threads: 1)
    #expect(try Matmul.primitive(for: description, threads: 1) === one)
    #expect(try Matmul.primitive(for: description, threads: 2) !== one)
  }
}
