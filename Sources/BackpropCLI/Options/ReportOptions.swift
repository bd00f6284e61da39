import Backprop

/// What is written about a training beside its output.
struct ReportOptions: ParameterGroup {
  static let title = "Reports"

  @Option("tensorboard", "DIR", "write numbers, weights and gradients for TensorBoard into this folder")
  var tensorBoard: String? = nil

  @Option("csv-log", "FILE", "write the numbers of each epoch to this CSV file")
  var csvLog: String? = nil

  @Option(
    "report", "FILE",
    "write a page about the training to this HTML file: curves, confusion matrix, worst mistakes, gradients, layers"
  )
  var report: String? = nil

  @Flag("gradients", "watch gradients, and say in words what is wrong with them, if something is")
  var gradients

  /// With the monitor first: others plot what it measured.
  ///
  /// - Parameter data: rows to show mistakes of.
  func makeCallbacks(_ data: LabelledData?) -> (all: [Callback], monitor: GradientMonitor?) {
    var all: [Callback] = []
    var monitor: GradientMonitor?
    if gradients || tensorBoard != nil || report != nil {
      let made = GradientMonitor()
      monitor = made
      all.append(made)
    }
    if let tensorBoard {
      all.append(TensorBoard(tensorBoard, histogramFreq: 1, gradientMonitor: monitor))
    }
    if let csvLog { all.append(CSVLogger(csvLog)) }
    if let report { all.append(TrainingReport(report, data: data, gradientMonitor: monitor)) }
    return (all, monitor)
  }
}
