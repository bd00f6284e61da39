import Foundation

extension Graph {
  /// Whether `scripts/test` or a user asked for every pass to be checked.
  static let verifies = ProcessInfo.processInfo.environment["BACKPROP_VERIFY"] == "1"

  /// Stops with the pass's name when the graph isn't one: a value made twice or read before it is made, a shape or dtype
  /// that its rule doesn't give.
  package func verified(after pass: String) -> Graph {
    guard Self.verifies else { return self }
    var isMade = values.map { if case .node = $0.origin { false } else { true } }
    for node in nodes {
      for input in node.inputs {
        require(isMade[input], "\(pass): \(node.operation.rule.name) reads %\(input) before it is made")
      }
      for output in node.outputs {
        require(!isMade[output], "\(pass): %\(output) is made twice")
        isMade[output] = true
      }
      let expected = node.outputs.map(type)
      do {
        let inferred = try node.operation.infer(node.inputs.map(type))
        require(
          inferred == expected,
          "\(pass): \(node.operation.rule.name) gives \(inferred), the graph says \(expected)")
      } catch {
        programmerError("\(pass): \(error)")
      }
    }
    for node in nodes {
      for output in node.outputs where inParts.contains(output) {
        require(writesParts(node), "\(pass): \(node.operation.rule.name) can't make %\(output) in parts")
      }
      for input in node.inputs where inParts.contains(input) {
        require(readsParts(node, input), "\(pass): \(node.operation.rule.name) can't read %\(input) in parts")
      }
    }
    for result in results { require(isMade[result], "\(pass): result %\(result) is never made") }
    return self
  }
}
