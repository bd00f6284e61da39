import Backprop

/// `backprop convert`
struct ConvertCommand: Command {
  static let name = "convert"
  static let abstract = "write a model or tensors in another format"
  static let discussion = [
    """
    Reads INPUT and writes it to OUTPUT, in the format that the end of its name says: a model (.keras, or .h5 as Keras 2 \
    wrote them) as a model (.keras) or as its weights (.weights.h5, .safetensors, .npz); other files of tensors \
    (.safetensors, .npz, .npy, HDF5, IDX) as .safetensors or .npz, with their names, or a single one as .npy.
    """,
    """
    Weights alone hold no layers. To make a model of them, give with --model a model file whose layers they belong to. \
    OUTPUT appears whole or not at all.
    """,
  ]
  static let examples = [
    Example("backprop convert old.h5 new.keras", "bring a model of Keras 2 into the format of Keras 3"),
    Example(
      "backprop convert mnist.keras mnist.safetensors", "weights for PyTorch: dense.kernel, dense.bias, …"),
    Example(
      "backprop convert better.safetensors better.keras --model mnist.keras",
      "put weights into a model's layers"),
  ]

  @Operand("INPUT", "the file to read") var input: String
  @Operand("OUTPUT", "the file to write") var output: String
  @Option("model", "FILE", "the model whose layers INPUT's weights belong to") var model: String? = nil

  func run() throws -> ExitCode {
    if let model {
      let file = try ModelFile(model)
      try file.model.loadWeights(input)
      try write(file.model)
      return .success
    }
    let file = try TensorFile(input)
    switch file.kind {
    case .keras, .legacyKeras: try write(try ModelFile(input).model)
    case .hdf5, .safetensors, .npy, .npz, .idx, .events: try write(file)
    }
    return .success
  }

  private func write(_ model: Model) throws {
    if WeightFormat(path: output) != nil { return try model.saveWeights(output) }
    guard KerasFile.isName(output) else {
      let weights = WeightFormat.allCases.map(\.rawValue).joined(separator: ", ")
      throw CommandError("\(output): a model is written as .keras, its weights as one of \(weights)")
    }
    try model.save(output)
  }

  private func write(_ file: TensorFile) throws {
    if output.hasSuffix(".npy") {
      guard let name = file.names.first, file.names.count == 1 else {
        throw CommandError(
          "\(input) holds \(file.names.count) tensors, an .npy file one; write it as .npz or .safetensors")
      }
      return try NPY.save(try file.tensor(name), to: output)
    }
    switch WeightFormat(path: output) {
    case .safetensors: try Safetensors.save(try file.tensors(), to: output)
    case .npz: try NPZ.save(try file.tensors(), to: output)
    case nil where !KerasFile.isName(output):
      throw CommandError("\(output): tensors are written as .safetensors, .npz or .npy")
    case .keras, nil:
      throw CommandError(
        """
        \(input) holds tensors but no layers, and \(output) needs them; give the model that they belong to with --model, \
        or write them as .safetensors, .npz or .npy
        """)
    }
  }
}
