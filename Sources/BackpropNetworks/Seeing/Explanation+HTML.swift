import Foundation

extension Explanation {
  /// The four steps as one page that needs nothing else: no script, no font, no picture from elsewhere.
  public var html: String {
    var body = "<h1>One step of backpropagation</h1>"
    body +=
      "<p>One sample goes forward through the network, the loss is taken, its gradient goes back, and every weight "
    body += "moves a little. All numbers are those of this network.</p>" + diagram
    body +=
      "<h2>1. Forward</h2><p>Each layer computes <i>z</i> = input · <i>W</i> + <i>b</i>, then <i>a</i> = activation(<i>z</i>).</p>"
    for layer in layers {
      body += "<h3>\(HTMLText.escaped(layer.name)), \(HTMLText.escaped(layer.activation))</h3>"
      body += HTMLText.table([("input", layer.input), ("z", layer.weightedInput), ("a", layer.output)])
    }
    body += "<h2>2. Loss</h2>" + HTMLText.table([("output", layers.last?.output ?? []), ("target", target)])
    body += "<p>\(HTMLText.escaped(lossName)): <b>\(Self.number(loss))</b></p>"
    body += "<h2>3. Backward</h2><p>δ = ∂loss/∂<i>z</i>, from the last layer to the first.</p>"
    for layer in layers.reversed() {
      body += "<h3>\(HTMLText.escaped(layer.name))</h3><p class=rule>\(HTMLText.escaped(layer.rule))</p>"
      body += HTMLText.table([("δ", layer.delta)])
    }
    body +=
      "<h2>4. Update</h2><p><i>w</i> ← <i>w</i> − \(Self.number(learningRate)) · ∂loss/∂<i>w</i>, where "
    body += "∂loss/∂<i>W</i> = input · δ and ∂loss/∂<i>b</i> = δ.</p>"
    for layer in layers {
      body += "<h3>\(HTMLText.escaped(layer.name))</h3>"
      var rows: [(String, [Double])] = []
      for row in layer.input.indices.prefix(16) {
        rows += [
          ("W[\(row)] gradient", layer.kernelGradient[row]), ("W[\(row)] before", layer.kernel[row]),
          ("W[\(row)] after", layer.newKernel[row]),
        ]
      }
      if !layer.bias.isEmpty {
        rows += [("b gradient", layer.delta), ("b before", layer.bias), ("b after", layer.newBias)]
      }
      body += HTMLText.table(rows)
      if layer.input.count > 16 { body += "<p>… and \(layer.input.count - 16) rows of W more.</p>" }
    }
    body +=
      "<p>The loss on this sample was <b>\(Self.number(loss))</b> and is now <b>\(Self.number(newLoss))</b>.</p>"
    return HTMLText.page("One step of backpropagation", body)
  }

  /// Units as circles, as bright as what they give; weights as lines, as wide as they are large, red below zero.
  private var diagram: String {
    let columns = [layers.first?.input ?? []] + layers.map(\.output)
    guard let tallest = columns.map(\.count).max(), tallest <= 12, columns.count <= 8 else { return "" }
    let (dx, dy, radius) = (150.0, 56.0, 20.0)
    let height = Double(tallest) * dy
    func place(_ column: Int, _ unit: Int) -> (x: Double, y: Double) {
      let count = Double(columns[column].count)
      return (40 + Double(column) * dx, height / 2 + (Double(unit) - (count - 1) / 2) * dy)
    }
    var svg = ""
    for (column, layer) in layers.enumerated() {
      let largest = max(layer.kernel.joined().map(abs).max() ?? 1, 1e-12)
      for (from, row) in layer.kernel.enumerated() {
        for (to, weight) in row.enumerated() {
          let (a, b) = (place(column, from), place(column + 1, to))
          let width = String(format: "%.2f", 0.3 + 4 * abs(weight) / largest)
          svg +=
            "<line x1='\(a.x)' y1='\(a.y)' x2='\(b.x)' y2='\(b.y)' stroke='\(weight < 0 ? "#c0392b" : "#2471a3")' "
          svg += "stroke-width='\(width)' stroke-opacity='.5'/>"
        }
      }
    }
    for (column, values) in columns.enumerated() {
      for (unit, value) in values.enumerated() {
        let p = place(column, unit)
        svg += "<circle cx='\(p.x)' cy='\(p.y)' r='\(radius)' class='unit'/>"
        svg += "<text x='\(p.x)' y='\(p.y + 4)' text-anchor='middle'>\(String(format: "%.3g", value))</text>"
      }
    }
    let width = 80 + Double(columns.count - 1) * dx
    return
      "<svg viewBox='0 0 \(width) \(height)' style='max-width:\(width)px' role='img' aria-label='the network'>\(svg)</svg>"
  }
}

/// Pieces of pages that stand for themselves.
package enum HTMLText {
  package static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.append(character)
      }
    }
    return result
  }

  /// A name and its numbers in each row; more than 24 are left out.
  package static func table(_ rows: [(String, [Double])]) -> String {
    var text = "<div class=wide><table>"
    for (name, values) in rows {
      text += "<tr><th>\(escaped(name))</th>"
      text += values.prefix(24).map { "<td>\(Explanation.number($0))</td>" }.joined()
      if values.count > 24 { text += "<td>… \(values.count - 24) more</td>" }
      text += "</tr>"
    }
    return text + "</table></div>"
  }

  package static func page(_ title: String, _ body: String) -> String {
    """
    <!DOCTYPE html><html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width">\
    <title>\(escaped(title))</title><style>
    :root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
    table{border-collapse:collapse;font:13px/1.6 ui-monospace,monospace}th{text-align:left;padding-right:1em;font-weight:600}
    td{text-align:right;padding:0 .7em}.wide{overflow-x:auto}.rule{font-style:italic}svg{width:100%;height:auto}
    svg text{font:12px ui-monospace,monospace;fill:CanvasText}.unit{fill:Canvas;stroke:CanvasText}img{image-rendering:pixelated}
    </style></head><body>\(body)</body></html>

    """
  }
}
