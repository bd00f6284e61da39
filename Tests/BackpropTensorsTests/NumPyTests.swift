import Foundation
import TestSupport
import Testing

@testable import BackpropTensors

/// One case of `tensors.json`: what NumPy (or JAX) makes of the inputs.
struct NumPyCase: @unchecked Sendable, CustomTestStringConvertible {
  let operation: String
  let arguments: [String: Any]
  let inputs: [Tensor]
  let outputs: [Tensor]
  let text: String?

  init(_ values: [String: Any]) {
    operation = values["operation"] as! String
    arguments = values["arguments"] as! [String: Any]
    inputs = (values["inputs"] as! [Any]).map(Tensor.init(fixture:))
    outputs = (values["outputs"] as? [Any] ?? []).map(Tensor.init(fixture:))
    text = values["text"] as? String
  }

  var testDescription: String {
    let settings = arguments.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    return "\(operation)(\((inputs.map { "\($0.type)" } + settings).joined(separator: ", ")))"
  }

  func integer(_ name: String) -> Int { (arguments[name] as! NSNumber).intValue }
  func integers(_ name: String) -> [Int]? { (arguments[name] as? [NSNumber])?.map(\.intValue) }
  func flag(_ name: String) -> Bool { arguments[name] as! Bool }

  /// Ours for the same inputs; nil for a name that isn't in the table.
  func results() -> [Tensor]? {
    elementwise() ?? reduced() ?? ordered() ?? moved()
  }

  private func elementwise() -> [Tensor]? {
    let a = inputs.first ?? Tensor(0)
    let b = inputs.count > 1 ? inputs[1] : a
    switch operation {
    case "add": return [a + b]
    case "multiply": return [a * b]
    case "divide", "true_divide_integers": return [a / b]
    case "floor_divide": return [a.floorDivided(by: b)]
    case "remainder": return [a.remainder(dividingBy: b)]
    case "power": return [a.power(b)]
    case "maximum": return [a.maximum(b)]
    case "minimum": return [a.minimum(b)]
    case "equal": return [a .== b]
    case "not_equal": return [a .!= b]
    case "less": return [a .< b]
    case "less_equal": return [a .<= b]
    case "greater": return [a .> b]
    case "greater_equal": return [a .>= b]
    case "rint": return [a.rounded()]
    case "floor": return [a.floor()]
    case "ceil": return [a.ceil()]
    case "sign": return [a.sign()]
    case "abs": return [a.abs()]
    case "cast": return [a.cast(to: DType(rawValue: arguments["dtype"] as! String)!)]
    case "where": return [Tensor.select(a, b, inputs[2])]
    case "matmul": return [a.matmul(b)]
    case "einsum": return [einsum(arguments["equation"] as! String)]
    default: return nil
    }
  }

  private func einsum(_ equation: String) -> Tensor {
    switch inputs.count {
    case 1: Tensor.einsum(equation, inputs[0])
    case 2: Tensor.einsum(equation, inputs[0], inputs[1])
    default: Tensor.einsum(equation, inputs[0], inputs[1], inputs[2])
    }
  }

  private func reduced() -> [Tensor]? {
    guard let a = inputs.first, arguments["keep_dims"] != nil else { return nil }
    let (axes, keep) = (integers("axes"), flag("keep_dims"))
    switch operation {
    case "sum": return [a.sum(axes: axes, keepDims: keep)]
    case "prod": return [a.product(axes: axes, keepDims: keep)]
    case "mean": return [a.mean(axes: axes, keepDims: keep)]
    case "var": return [a.variance(axes: axes, keepDims: keep)]
    case "std": return [a.standardDeviation(axes: axes, keepDims: keep)]
    case "max": return [a.max(axes: axes, keepDims: keep)]
    case "min": return [a.min(axes: axes, keepDims: keep)]
    case "any": return [a.any(axes: axes, keepDims: keep)]
    case "all": return [a.all(axes: axes, keepDims: keep)]
    case "logsumexp": return [a.logSumExp(axes: axes, keepDims: keep)]
    default: return nil
    }
  }

  private func ordered() -> [Tensor]? {
    guard let a = inputs.first else { return nil }
    switch operation {
    case "sort": return [a.sorted(axis: integer("axis"), descending: flag("descending"))]
    case "argsort": return [a.argSorted(axis: integer("axis"), descending: flag("descending"))]
    case "top_k":
      let top = a.topK(integer("k"))
      return [top.values, top.positions]
    case "argmax": return [a.argMax(axis: (arguments["axis"] as? NSNumber)?.intValue)]
    case "argmin": return [a.argMin(axis: (arguments["axis"] as? NSNumber)?.intValue)]
    case "cumsum":
      return [a.cumulativeSum(axis: integer("axis"), exclusive: flag("exclusive"), reverse: flag("reverse"))]
    case "cumprod":
      return [
        a.cumulativeProduct(axis: integer("axis"), exclusive: flag("exclusive"), reverse: flag("reverse"))
      ]
    default: return nil
    }
  }

  private func moved() -> [Tensor]? {
    let a = inputs.first ?? Tensor(0)
    switch operation {
    case "slice": return [a.part((arguments["index"] as! [Any]).map(entry), file: #fileID, line: #line)]
    case "pad":
      let widths = (arguments["widths"] as! [[NSNumber]]).map {
        (before: $0[0].intValue, after: $0[1].intValue)
      }
      return [a.padded(widths, value: Double(integer("value")))]
    case "tile": return [a.tiled(integers("repeats")!)]
    case "flip": return [a.flipped(axes: integers("axes"))]
    case "transpose": return [a.transposed(integers("order"))]
    case "take": return [a.gathered(inputs[1], axis: integer("axis"))]
    case "take_along_axis": return [a.takenAlong(axis: integer("axis"), at: inputs[1])]
    case "scatter_add": return [a.scatterAdded(rows: integer("rows"), at: inputs[1])]
    case "one_hot": return [a.oneHot(classes: integer("classes"))]
    case "concatenate": return [Tensor.concatenate(inputs, axis: integer("axis"))]
    case "stack": return [Tensor.stack(inputs, axis: integer("axis"))]
    case "split": return a.split(integer("count"), axis: integer("axis"))
    case "linspace":
      return [
        Tensor.linspace(from: Double(integer("start")), to: Double(integer("end")), count: integer("count"))
      ]
    case "arange": return [Tensor.range(from: integer("start"), to: integer("end"), by: integer("step"))]
    default: return nil
    }
  }

  private func entry(_ value: Any) -> TensorIndex {
    switch value {
    case let position as NSNumber: position.intValue.tensorIndex
    case let text as String: text == "..." ? .ellipsis : .newAxis
    default:
      {
        let bounds = (value as! [Any]).map { ($0 as? NSNumber)?.intValue }
        return .stride(from: bounds[0], to: bounds[1], by: bounds[2] ?? 1)
      }()
    }
  }
}

@Suite("Against NumPy")
struct NumPyTests {
  static let cases = Fixture("tensors").cases.map(NumPyCase.init)

  @Test("values", arguments: cases.filter { $0.text == nil })
  func values(_ numPy: NumPyCase) throws {
    let results = try #require(numPy.results(), "no such operation in the table")
    #expect(results.count == numPy.outputs.count)
    for (result, expected) in zip(results, numPy.outputs) {
      #expect(result.shape == expected.shape)
      for (position, (a, b)) in zip(result.doubles, expected.doubles).enumerated() {
        // Zeros count with their sign, NaN equals NaN.
        let isSame = a == b ? a.sign == b.sign : a.isNaN && b.isNaN || abs(a - b) <= 1e-6 + 2e-6 * abs(b)
        #expect(isSame, "element \(position) is \(a), NumPy has \(b)")
      }
    }
  }

  @Test("printing", arguments: cases.filter { $0.text != nil })
  func printing(_ numPy: NumPyCase) {
    #expect(numPy.inputs[0].description == numPy.text)
  }
}
