import BackpropNetworks
import Foundation

/// Series of numbers as lines in an SVG picture, with their names below: inside it they would lie on the lines.
struct LinePlot {
  let title: String
  /// What is counted from left to right: "epoch", from the first to the last.
  let axis: String
  let range: ClosedRange<Int>
  let series: [(name: String, values: [Double])]

  private static let colours = [
    "#2471a3", "#c0392b", "#1e8449", "#7d3c98", "#b9770e", "#148f77", "#5d6d7e", "#d4ac0d", "#943126",
    "#1a5276",
    "#117864", "#6c3483",
  ]

  var html: String {
    let (width, height, left, bottom) = (560.0, 240.0, 64.0, 28.0)
    let finite = series.flatMap(\.values).filter(\.isFinite)
    guard var low = finite.min(), var high = finite.max() else { return "" }
    if low == high { (low, high) = (low - 0.5, high + 0.5) }
    let steps = max(series.map(\.values.count).max() ?? 1, 2) - 1
    func x(_ index: Int) -> Double { left + (width - left - 8) * Double(index) / Double(steps) }
    func y(_ value: Double) -> Double { 24 + (height - bottom - 24) * (high - value) / (high - low) }
    func text(_ value: Double) -> String { String(format: "%.1f", value) }
    var parts = "<text x='\(left)' y='14'>\(HTMLText.escaped(title))</text>"
    for mark in 0...4 {
      let value = low + (high - low) * Double(mark) / 4
      parts += "<line x1='\(left)' x2='\(width - 8)' y1='\(text(y(value)))' y2='\(text(y(value)))' "
      parts += "stroke='currentColor' stroke-opacity='.15'/>"
      parts +=
        "<text x='\(left - 6)' y='\(text(y(value) + 4))' text-anchor='end'>\(String(format: "%.3g", value))</text>"
    }
    parts += "<text x='\(left)' y='\(height - 8)'>\(axis) \(range.lowerBound)</text>"
    parts += "<text x='\(width - 8)' y='\(height - 8)' text-anchor='end'>\(range.upperBound)</text>"
    var names = ""
    for (index, line) in series.enumerated() {
      let colour = Self.colours[index % Self.colours.count]
      let points = line.values.enumerated().filter { $0.element.isFinite }
        .map { "\(text(x($0.offset))),\(text(y($0.element)))" }
      if points.count == 1 {
        let place = points[0].split(separator: ",")
        parts += "<circle cx='\(place[0])' cy='\(place[1])' r='3' fill='\(colour)'/>"
      } else {
        parts +=
          "<polyline points='\(points.joined(separator: " "))' fill='none' stroke='\(colour)' stroke-width='2'/>"
      }
      names += " <span style='color:\(colour)'>\(HTMLText.escaped(line.name))</span>"
    }
    return
      "<figure style='margin:0 0 1rem'><svg viewBox='0 0 \(width) \(height)' style='max-width:\(width)px' role='img' "
      + "aria-label='\(HTMLText.escaped(title))'>\(parts)</svg><figcaption>\(names)</figcaption></figure>"
  }
}
