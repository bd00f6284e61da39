import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation

/// Writes what a training was into one HTML file: curves, the confusion matrix, the worst mistakes as pictures, how
/// gradients flowed, the layers, seed and versions. The file needs nothing else.
///
/// ```swift
/// let monitor = GradientMonitor()
/// try model.fit(train.images, train.labels, epochs: 5, validationData: test,
///   callbacks: [monitor, TrainingReport("report.html", data: test, gradientMonitor: monitor)])
/// ```
public final class TrainingReport: Callback, @unchecked Sendable {
  private let path: String
  private let data: LabelledData?
  private let classNames: [String]?
  private let gradientMonitor: GradientMonitor?
  private let history = History()
  private var start = Date()

  /// - Parameters:
  ///   - data: rows that weren't trained on, to show mistakes of; without it there are none in the report.
  ///   - classNames: instead of numbers.
  ///   - gradientMonitor: to be given to `fit` as well, before this callback.
  public init(
    _ path: String, data: LabelledData? = nil, classNames: [String]? = nil,
    gradientMonitor: GradientMonitor? = nil
  ) {
    self.path = path
    self.data = data
    self.classNames = classNames
    self.gradientMonitor = gradientMonitor
  }

  public override var observesBatches: Bool { false }

  public override func onTrainBegin() throws {
    history.onTrainBegin()
    start = Date()
    try AtomicFile.checkWritable(path)
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) { history.onEpochEnd(epoch, logs) }
  public override func saveState() -> CallbackState { history.saveState() }
  public override func restoreState(_ state: CallbackState) { history.restoreState(state) }

  public override func onTrainEnd(_ logs: Logs) throws {
    guard let model else { return }
    let title = "Training of \(model.name)"
    var body = "<h1>\(HTMLText.escaped(title))</h1>" + facts(model, logs)
    body += "<h2>Curves</h2>" + curves()
    if let data, let mistakes = try Mistakes(model, data) {
      body += "<h2>Confusion matrix</h2>" + confusion(mistakes)
      body += "<h2>Worst mistakes</h2>" + worst(mistakes, data)
    }
    if let gradientMonitor { body += "<h2>Gradients</h2>" + gradients(gradientMonitor) }
    body += "<h2>Layers</h2><pre class=wide>\(HTMLText.escaped(model.summaryText))</pre>"
    let page = HTMLText.page(title, body)
    try AtomicFile.write(to: path) { try $0.write(Array(page.utf8)) }
  }

  // MARK: Sections

  private func facts(_ model: Model, _ logs: Logs) -> String {
    var rows: [(String, String)] = [
      ("epochs", "\(history.epochs.count)"), ("seed", "\(model.seed)"),
      (
        "optimizer",
        model.optimizer.map { "\($0.className), learning rate \(number($0.learningRate))" } ?? "none"
      ),
      ("loss", model.loss?.name ?? "none"), ("began", "\(start)"),
      ("took", String(format: "%.1f s", Date().timeIntervalSince(start))),
      ("oneDNN", Machine.oneDNNVersion), ("kernels", Threads.instructionSet), ("threads", "\(Threads.count)"),
    ]
    for (name, value) in logs { rows.append((name, number(value))) }
    let cells = rows.map { "<tr><th>\(HTMLText.escaped($0.0))</th><td>\(HTMLText.escaped($0.1))</td></tr>" }
    return "<table>\(cells.joined())</table>"
  }

  /// A plot for each number, that of the validation data in it.
  private func curves() -> String {
    let names = history.values.keys.filter { !$0.hasPrefix("val_") }.sorted()
    return names.map { name in
      var series = [(name, history[name])]
      let other = history["val_\(name)"]
      if !other.isEmpty { series.append(("val_\(name)", other)) }
      let first = (history.epochs.first ?? 0) + 1
      return LinePlot(
        title: name, axis: "epoch", range: first...max(first, (history.epochs.last ?? 0) + 1), series: series
      ).html
    }.joined()
  }

  private func confusion(_ mistakes: Mistakes) -> String {
    let classes = mistakes.matrix.count
    if classes > 40 { return "<p>\(classes) classes: too many to show.</p>" }
    var text = "<p>Rows: the label. Columns: what the model says.</p><div class=wide><table><tr><th></th>"
    text += (0..<classes).map { "<th>\(HTMLText.escaped(name($0)))</th>" }.joined() + "</tr>"
    for (label, row) in mistakes.matrix.enumerated() {
      let total = max(row.reduce(0, +), 1)
      text += "<tr><th>\(HTMLText.escaped(name(label)))</th>"
      for (said, count) in row.enumerated() {
        let share = Double(count) / Double(total)
        let colour = said == label ? "36,113,163" : "192,57,43"
        text += "<td style='background:rgba(\(colour),\(String(format: "%.2f", share * 0.8)))'>\(count)</td>"
      }
      text += "</tr>"
    }
    return text + "</table></div>"
  }

  private func worst(_ mistakes: Mistakes, _ data: LabelledData) -> String {
    if mistakes.worst.isEmpty { return "<p>None.</p>" }
    return mistakes.worst.map { mistake in
      var text = "<figure style='display:inline-block;margin:.5rem'>"
      if let picture = Picture.of(data.inputs[mistake.row]), let png = try? PNG.encode(picture) {
        text += "<img width=96 src='data:image/png;base64,\(Data(png).base64EncodedString())' alt=''>"
      }
      let said = "\(HTMLText.escaped(name(mistake.said))) (\(Int((mistake.probability * 100).rounded())) %)"
      return text
        + "<figcaption>row \(mistake.row)<br>is \(HTMLText.escaped(name(mistake.label)))<br>said \(said)</figcaption></figure>"
    }.joined()
  }

  private func gradients(_ monitor: GradientMonitor) -> String {
    let verdict = "\(monitor.verdict)".split(separator: "\n").map { "<p>\(HTMLText.escaped(String($0)))</p>" }
      .joined()
    guard let last = monitor.samples.last else { return verdict }
    var rows =
      "<tr><th>layer</th><th>gradient norm</th><th>root mean square</th><th>update / weight</th></tr>"
    for layer in last.layers {
      rows += "<tr><th>\(HTMLText.escaped(layer.name))</th><td>\(number(layer.gradientNorm))</td>"
      rows += "<td>\(number(layer.gradientRMS))</td><td>\(number(layer.updateRatio))</td></tr>"
    }
    let series = last.layers.indices.prefix(12).map { index in
      (
        last.layers[index].name,
        monitor.samples.map {
          $0.layers.indices.contains(index) ? log10(max($0.layers[index].gradientRMS, 1e-12)) : 0
        }
      )
    }
    return verdict + "<p>Step \(last.step):</p><table>\(rows)</table>"
      + LinePlot(
        title: "log10 of the gradients' root mean square", axis: "step",
        range: (monitor.samples.first ?? last).step...last.step, series: Array(series)
      ).html
  }

  private func name(_ number: Int) -> String {
    guard let classNames, classNames.indices.contains(number) else { return "\(number)" }
    return classNames[number]
  }

  private func number(_ value: Double) -> String { String(format: "%.4g", value) }
}
