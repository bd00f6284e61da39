import BackpropTensors

extension Model {
  /// Prints the layers, their output shapes and parameter counts as Keras does, then what training costs.
  ///
  /// Shapes are known once the model is built, FLOPs and memory once it has been trained.
  public func summary() { print(summaryText) }

  /// What ``summary()`` prints.
  public var summaryText: String {
    let sizes = outputSizesOfLayers()
    let graph = self as? Functional
    let rows = layers.map { layer in
      [
        "\(layer.name) (\(layer.className))",
        sizes[ObjectIdentifier(layer)].map(Self.described) ?? "?",
        layer.isBuilt || layer is Input ? grouped(layer.parameterCount) : "0 (unbuilt)",
      ] + (graph.map { [$0.connections(of: layer)] } ?? [])
    }
    let table = Table(
      header: ["Layer (type)", "Output Shape", "Param #"] + (graph == nil ? [] : ["Connected to"]),
      rows: rows,
      minimumWidths: [31, 22, 13] + (graph == nil ? [] : [20]))
    return (["Model: \"\(name)\"", table.description] + totals + costs).joined(separator: "\n")
  }

  private var totals: [String] {
    func line(_ title: String, _ weights: [(count: Int, bytes: Int)]) -> String {
      let count = weights.reduce(0) { $0 + $1.count }
      let bytes = weights.reduce(0) { $0 + $1.bytes }
      return " \(title) params: \(grouped(count)) (\(sized(bytes)))"
    }
    func sizes(_ weights: [Weight]) -> [(count: Int, bytes: Int)] {
      weights.map { ($0.count, $0.count * $0.dtype.byteCount) }
    }
    let slots =
      optimizer.map {
        $0.variables.map { ($0.shape.elementCount, $0.shape.elementCount * $0.dtype.byteCount) }
      } ?? []
    var lines = [line("Total", sizes(weights) + slots), line("Trainable", sizes(trainableWeights))]
    lines.append(line("Non-trainable", sizes(nonTrainableWeights)))
    if !slots.isEmpty { lines.append(line("Optimizer", slots)) }
    return lines
  }

  /// What the compiled training step does and needs.
  private var costs: [String] {
    guard let plan = trainingPlan else { return [] }
    let flops =
      plan.flops < 10_000_000
      ? "\(grouped(plan.flops / 1000)) kFLOP" : "\(grouped(plan.flops / 1_000_000)) MFLOP"
    return [
      " Training step: \(flops), \(sized(plan.peakBytes)) planned (\(sized(plan.arenaBytes)) of it for values)"
    ]
  }

  private static func described(_ results: [[Int?]]) -> String {
    results.map { sizes in
      "(" + sizes.map { $0.map(String.init) ?? "None" }.joined(separator: ", ")
        + (sizes.count == 1 ? ",)" : ")")
    }.joined(separator: ", ")
  }
}

extension Functional {
  /// What a layer's calls take, as Keras writes it: layer, number of its call, number of the result.
  fileprivate func connections(of layer: Layer) -> String {
    let inputs = calls(of: layer).flatMap(\.inputs)
    let names = inputs.map { input -> String in
      let (call, result) = input.position(in: self)
      return "\(input.layer.name)[\(call)][\(result)]"
    }
    return names.isEmpty ? "-" : names.joined(separator: ", ")
  }
}

/// Columns between box-drawing lines.
private struct Table: CustomStringConvertible {
  var header: [String]
  var rows: [[String]]
  var minimumWidths: [Int]

  var description: String {
    let widths = header.indices.map { column in
      max(minimumWidths[column], ([header] + rows).map { $0[column].count }.max() ?? 0)
    }
    func rule(_ left: String, _ line: Character, _ middle: String, _ right: String) -> String {
      left + widths.map { String(repeating: line, count: $0 + 2) }.joined(separator: middle) + right
    }
    // Counts stand on the right, names on the left.
    func line(_ cells: [String], _ bar: String) -> String {
      let padded = cells.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 2 ? space + cell : cell + space
      }
      return "\(bar) " + padded.joined(separator: " \(bar) ") + " \(bar)"
    }
    var lines = [rule("┏", "━", "┳", "┓"), line(header, "┃"), rule("┡", "━", "╇", "┩")]
    for (position, row) in rows.enumerated() {
      if position > 0 { lines.append(rule("├", "─", "┼", "┤")) }
      lines.append(line(row, "│"))
    }
    lines.append(rule("└", "─", "┴", "┘"))
    return lines.joined(separator: "\n")
  }
}

/// 55050 as 55,050.
private func grouped(_ number: Int) -> String {
  let digits = Array(String(number))
  var result = ""
  for (position, digit) in digits.enumerated() {
    if position > 0, digit != "-", (digits.count - position) % 3 == 0 { result += "," }
    result.append(digit)
  }
  return result
}

/// 220200 as 215.04 KB.
private func sized(_ bytes: Int) -> String {
  let units = ["B", "KB", "MB", "GB", "TB"]
  var value = Double(bytes)
  var unit = 0
  while value >= 1024, unit < units.count - 1 {
    value /= 1024
    unit += 1
  }
  let hundredths = Int((value * 100).rounded())
  let fraction = hundredths % 100
  return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(units[unit])"
}
