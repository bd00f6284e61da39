import Foundation

/// From a recorded graph to a program, pass by pass. Each is a function in the file of its name.
enum Compiler {
  static func optimized(_ graph: Graph, named name: String) -> Graph {
    var graph = graph.verified(after: "trace")
    Debug.graph.print("\(name), as recorded", graph)
    graph = graph.simplified().verified(after: "simplify")
    graph = graph.withoutCommonSubexpressions().verified(after: "common subexpressions")
    graph = graph.withoutUnusedResults().verified(after: "drop results")
    graph = graph.withSimplifiedPooling().verified(after: "simplify pooling")
    graph = graph.withFusedMatmuls().verified(after: "fuse matmul")
    graph = graph.withPooledConvolutions().verified(after: "pool convolutions")
    graph = graph.withFusedElements().verified(after: "fuse elements")
    graph = graph.withContinuedMatmuls().verified(after: "continue matmul")
    graph = graph.withCutColumns().verified(after: "cut columns")
    Debug.fuse.print("\(name), fused", graph)
    graph = graph.withoutDeadNodes().ordered().verified(after: "order")
    return graph
  }
}

/// What `BACKPROP_DEBUG=graph,fuse,plan,time` asks to be printed to standard error.
enum Debug: String, CaseIterable {
  case graph, fuse, plan, time

  private static let wanted: Set<String> = {
    let value = ProcessInfo.processInfo.environment["BACKPROP_DEBUG"] ?? ""
    return Set(value.split(whereSeparator: { $0 == "," || $0 == "|" }).map(String.init))
  }()

  static var isAny: Bool { !wanted.isEmpty }
  var isOn: Bool { Self.wanted.contains(rawValue) }

  func print(_ title: String, _ content: @autoclosure () -> some CustomStringConvertible) {
    if isOn { Self.write("[\(rawValue)] \(title)\n\(content())") }
  }

  static func write(_ text: String) { StandardStream.error.writeLine(text) }
}
