import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

@Suite("Keras files")
struct KerasFileTests {
  static func load(_ path: String) throws -> (Model, warnings: [String]) {
    var warnings: [String] = []
    let model = try Model.load(path) { warnings.append($0) }
    return (model, warnings)
  }

  static func expectIdentical(_ a: [Tensor], _ b: [Tensor], _ what: String) {
    #expect(a.count == b.count, "\(what)")
    for (index, (x, y)) in zip(a, b).enumerated() {
      #expect(areIdentical(x, y), "\(what) \(index): \(x) \(y)")
    }
  }

  static func state(_ model: Model) -> [Tensor] { model.optimizer?.variables.map(\.stored) ?? [] }

  // MARK: - From Keras

  @Test(
    "a file of Keras': its weights and state bit for bit, its answers, its next step",
    arguments: KerasCase.all)
  func fromKeras(_ golden: KerasCase) throws {
    let (model, warnings) = try Self.load(golden.path)
    #expect(warnings == [])
    Self.expectIdentical(model.getWeights(), golden.tensors("weights"), "weight")
    // The step count is int64 everywhere in Backprop, int32 on some of Keras' backends.
    Self.expectIdentical(Self.state(model), golden.tensors("state"), "state")
    expectClose(try model.predict(golden.tensor("input")), golden.tensor("output"))
    guard golden.has("after") else { return }
    let logs = try model.trainOnBatch(golden.tensor("input"), golden.tensor("labels"))
    #expect(abs(logs["loss"]! - golden.number("loss")) <= 1e-5 * max(1, golden.number("loss")))
    for (index, (found, expected)) in zip(model.getWeights(), golden.tensors("after")).enumerated() {
      expectClose(found, expected, 1e-5, "weight \(index) after a step")
    }
  }

  @Test("names, configurations and what it was compiled with come over")
  func configuration() throws {
    let (model, _) = try Self.load(fixture("all-layers.keras"))
    #expect(model.name == "everything")
    #expect(model.layers.count == 15)
    #expect(model.layers[2].name == "first")
    #expect((try model.getLayer("first") as? Dense)?.configuration.activation == .relu)
    #expect((model.layers[3] as? LeakyReLU)?.configuration.negativeSlope == 0.3)
    #expect((model.layers[9] as? Dropout)?.configuration.rate == 0.25)
    #expect(model.loss?.name == "sparse_categorical_crossentropy")
    #expect(model.optimizer?.className == "Adam")
    #expect(try Self.load(fixture("frozen.keras")).0.layers[0].trainable == false)
  }

  @Test("as the torch backend, Keras 3.0 and files without what may be missing say it")
  func variants() throws {
    let (plain, _) = try Self.load(fixture("unspecified-input.keras"))
    let (variant, warnings) = try Self.load(fixture("variant.keras"))
    #expect(warnings == [])
    Self.expectIdentical(variant.getWeights(), plain.getWeights(), "weight")
    Self.expectIdentical(Self.state(variant), Self.state(plain), "state")
  }

  @Test(
    "what isn't needed to predict is left out with a warning",
    arguments: [
      ("key", "model.layers[1]: the key 'future' of Dense isn't known and was left out"),
      ("loss", "the model isn't compiled: unknown loss 'quadruplet'"),
      (
        "state", "the optimizer starts afresh: optimizer/vars has 6 variables where SGD has 2"
      ),
    ])
  func warned(_ name: String, _ words: String) throws {
    let (model, warnings) = try Self.load(fixture("warned-\(name).keras"))
    #expect(warnings.count == 1 && warnings[0].hasPrefix(words), "\(warnings)")
    #expect(model.isBuilt)
  }

  @Test(
    "what can't be loaded is refused by name",
    arguments: [
      (
        "lambda",
        "'lambda': expected layers without code of their own, found a Lambda, whose code would have to be run"
      ),
      (
        "operation",
        "'reshape': expected layers, found the operation Reshape; use a layer in its place before saving the model"
      ),
      (
        "custom",
        "model.layers[1], 'twice': expected classes of Keras' own, found mine>Twice, whose code isn't in the file"
      ),
      ("policy", ": expected a dtype such as float32, found 'unknown dtype policy 'int8_from_float32'"),
      (
        "units",
        "model.weights.h5: layers/dense/vars/0: expected shape [4, 6] of sequential/dense_3/kernel, found [4, 5]"
      ),
      ("huge", "sequential/dense_3: units may be 1073741824 at most, got 1152921504606846976"),
      ("type", ": expected a configuration of Dense, found 'units': "),
      (
        "class",
        "expected a layer that is known here, found 'unknown layer class 'Desne'; did you mean 'Dense'?'"
      ),
      ("missing", "found 'Dense: expected the key 'units' in the configuration, found none'"),
    ])
  func refused(_ name: String, _ words: String) throws {
    let path = fixture("refused-\(name).keras")
    let text = message { _ = try Self.load(path) }
    #expect(text.hasPrefix(path) && text.contains(words), "\(text)")
  }

  // MARK: - There and back

  @Test("what Keras wrote and we write again is the same model", arguments: KerasCase.all)
  func roundTrip(_ golden: KerasCase) throws {
    let folder = try TemporaryFolder()
    let (first, _) = try Self.load(golden.path)
    try first.save(folder.path + "/a.keras")
    let (second, warnings) = try Self.load(folder.path + "/a.keras")
    #expect(warnings == [])
    Self.expectIdentical(second.getWeights(), first.getWeights(), "weight")
    Self.expectIdentical(Self.state(second), Self.state(first), "state")
    try second.save(folder.path + "/b.keras")
    #expect(try Self.config(folder.path + "/a.keras") == Self.config(folder.path + "/b.keras"))
    #expect(folder.names == ["a.keras", "b.keras"])
    // Each of these keeps a Keras of before it came from reading the file, though it says nothing.
    let text = String(decoding: JSONWriter.write(try Self.config(folder.path + "/a.keras")), as: UTF8.self)
    for key in [
      "input_axes", "quantization_config", "lora_rank", "ragged", "optional", "renorm", "shared_object_id",
    ] {
      #expect(!text.contains("\"\(key)\""), "\(key)")
    }
    #expect(!text.contains("\"gradient_accumulation_steps\": null"))
  }

  @Test(
    "sizes that are open in Keras' file are open here and in what we write of it", arguments: KerasCase.open)
  func openSizes(_ golden: KerasCase) throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/again.keras"
    let (model, _) = try Self.load(golden.path)
    let copy = try cloneModel(model)
    try copy.setWeights(model.getWeights())
    try copy.save(path)
    for model in [model, copy, try Model.load(path)] {
      expectClose(try model.predict(golden.tensor("other")), golden.tensor("other_output"))
      expectClose(try model.predict(golden.tensor("input")), golden.tensor("output"))
    }
    func buildConfigs(_ value: ConfigValue) -> [String: ConfigValue] {
      if case .array(let elements) = value {
        return elements.map(buildConfigs).reduce(into: [:]) { $0.merge($1) { $1 } }
      }
      guard case .object(let fields) = value else { return [:] }
      var found = buildConfigs(.array(Array(fields.values)))
      if case .object(let config)? = fields["config"], let name = config["name"]?.text {
        found[name] = fields["build_config"]
      }
      return found
    }
    let theirs = buildConfigs(try Self.config(golden.path))
    let ours = buildConfigs(try Self.config(path))
    #expect(ours.count > 2)
    for (name, config) in ours { #expect(config == theirs[name], "\(name)") }
  }

  @Test("a model without an Input that was given images of two sizes is saved with both open")
  func severalSizes() throws {
    func images(_ height: Int, _ width: Int) -> Tensor { counting([2, height, width, 3], .float32) / 100 }
    let folder = try TemporaryFolder()
    let model = Sequential {
      Conv2D(2, kernelSize: 3)
      GlobalAveragePooling2D()
    }
    let expected = try [images(5, 6), images(7, 6)].map { try model.predict($0) }
    try model.save(folder.path + "/a.keras")
    let again = try Model.load(folder.path + "/a.keras")
    Self.expectIdentical(
      try [images(5, 6), images(7, 6)].map { try again.predict($0) }, expected, "prediction")
    #expect(
      message { _ = try again.predict(images(7, 8)) }.contains("expected samples of shape [any, 6, 3], got"))
  }

  @Test("models that took samples which no open size covers load again for all of them")
  func samplesOfAllKinds() throws {
    let folder = try TemporaryFolder()
    // Of several numbers of axes.
    let shared = Sequential { Dense(2) }
    let (vector, matrix) = (Input([3]), Input([4, 3]))
    let both = try Model(inputs: [vector, matrix], outputs: [shared(vector), shared(matrix)])
    try both.save(folder.path + "/both.keras")
    let samples = [counting([2, 3], .float32), counting([2, 4, 3], .float32)]
    let back: [Tensor] = try Model.load(folder.path + "/both.keras").predict(samples)
    Self.expectIdentical(back, try both.predict(samples), "prediction")

    // Rows of seven.
    let inner = Sequential {
      Reshape([-1, 7])
      Dense(2)
    }
    let (week, fortnight) = (Input([7]), Input([14]))
    let rows = try Model(inputs: [week, fortnight], outputs: [inner(week), inner(fortnight)])
    try rows.save(folder.path + "/rows.keras")
    let days = [counting([2, 7], .float32), counting([2, 14], .float32)]
    let saved: [Tensor] = try Model.load(folder.path + "/rows.keras").predict(days)
    Self.expectIdentical(saved, try rows.predict(days), "prediction")
    let weeks = Sequential {
      Input(sizes: [nil])
      Reshape([-1, 7])
      Dense(2)
    }
    let answers = try days.map { try weeks.predict($0) }
    try weeks.save(folder.path + "/weeks.keras")
    let read = try Model.load(folder.path + "/weeks.keras")
    Self.expectIdentical(try days.map { try read.predict($0) }, answers, "prediction")
    #expect(try cloneModel(rows).weights.map(\.shape) == rows.weights.map(\.shape))
  }

  static func config(_ path: String) throws -> ConfigValue {
    let archive = try ZipArchive(ByteRegion(path: path))
    let region = try archive.contents(of: #require(archive.member("config.json")))
    return try JSONParser.parse(region.bytes(at: 0, count: region.count), name: path)
  }

  @Test("training that was saved and loaded half-way ends where uninterrupted training ends, bit for bit")
  func resume() throws {
    let inputs = counting([12, 5], .float32) / 60
    let labels = Tensor((0..<12).map { Int32($0 % 3) })
    let folder = try TemporaryFolder()
    let model = Sequential(seed: 4) {
      Dense(8, activation: .relu, kernelRegularizer: .l2(0.01))
      PReLU()
      Dense(3, activation: .softmax)
    }
    try model.compile(
      optimizer: AdamW(
        learningRate: LearningRateSchedule.cosineDecay(0.01, decaySteps: 20), weightDecay: 0.004, beta1: 0.8,
        clipNorm: 1, excludeFromWeightDecay: ["bias"]),
      loss: .sparseCategoricalCrossentropy, metrics: [.accuracy, .sparseTopKCategoricalAccuracy(k: 2)])
    func train(_ model: Model) throws { for _ in 0..<5 { _ = try model.trainOnBatch(inputs, labels) } }
    try train(model)
    try model.save(folder.path + "/half.keras")
    try train(model)

    let (again, warnings) = try Self.load(folder.path + "/half.keras")
    #expect(warnings == [])
    #expect(again.optimizer?.options.excludedFromWeightDecay == ["bias"])
    try train(again)
    Self.expectIdentical(again.getWeights(), model.getWeights(), "weight")
    Self.expectIdentical(Self.state(again), Self.state(model), "state")
  }

  // MARK: - What can't be saved

  @Test("a model that can't be saved says why, and leaves the file that is there")
  func unsaveable() throws {
    final class Mine: Layer, @unchecked Sendable {
      override func call(_ x: Tensor, _ context: CallContext) -> Tensor { x * 2 }
    }
    let folder = try TemporaryFolder()
    let path = folder.path + "/a.keras"
    let good = Sequential {
      Input([2]); Dense(1)
    }
    try good.save(path)
    let before = try bytes(of: path)

    #expect(throws: ModelError.self) { try Sequential { Dense(1) }.save(path) }
    #expect(
      message {
        try Sequential {
          Input([2]); Mine()
        }.save(path)
      }.contains(
        "found the class Mine, which a file can't describe; save the weights alone"))
    let cube = Sequential {
      Input([2])
      Dense(1, activation: ActivationFunction("cube") { $0 * $0 * $0 })
    }
    #expect(
      message { try cube.save(path) }.contains("activation 'cube', a closure, can't be written to a file"))
    #expect(
      message { try good.save(folder.path + "/a.h5") }
        == "\(folder.path)/a.h5: expected a name that ends in .keras, by which Keras knows such files, found 'a.h5'"
    )
    #expect(message { try good.save(folder.path + "/no/a.keras") }.contains("No such file or directory"))
    #expect(try bytes(of: path) == before)
    #expect(folder.names == ["a.keras"])
  }

  @Test("other files are refused in words")
  func otherFiles() throws {
    let h5 = fixture("types.h5")
    #expect(
      message { _ = try Self.load(h5) }.contains(
        "expected the attribute 'model_config' of a whole model, found none; weights alone are read by loadWeights"
      ))
    let zip = fixture("deflated.zip")
    #expect(
      message { _ = try Self.load(zip) }
        == "\(zip): config.json: expected this member of a .keras file, found only streamed, text")
    #expect(message { _ = try Self.load("/nowhere.keras") }.contains("No such file or directory"))
  }

  // MARK: - Damage

  /// The members of a small file.
  static func members() throws -> (config: [UInt8], weights: [UInt8]) {
    let model = Sequential {
      Input([2, 1])
      Flatten()
      Dense(2, activation: .relu, kernelRegularizer: .l2(), kernelConstraint: .maxNorm())
      Reshape([-1, 1])
      PReLU(sharedAxes: [1])
    }
    try model.compile(
      optimizer: Adam(
        learningRate: LearningRateSchedule.exponentialDecay(0.1, decaySteps: 5, decayRate: 0.5)), loss: "mse")
    let writer = KerasModelWriter(file: "x.keras")
    return (
      JSONWriter.write(try writer.config(of: model)), joined(HDF5Writer.pieces(writer.weights(of: model)))
    )
  }

  static func read(_ config: [UInt8], _ weights: [UInt8]) {
    var reader = KerasModelReader(file: "x.keras")
    guard let model = try? reader.model(config: config, weights: ByteRegion(weights, name: "x"), seed: 0)
    else { return }
    // What loads can also be written again.
    _ = try? KerasModelWriter(file: "x").config(of: model)
  }

  @Test("no damage to the configuration makes the reader trap")
  func damagedConfig() throws {
    let (config, weights) = try Self.members()
    var count = 0
    forEachDamaged(config) { copy in
      count += 1
      if count % 3 == 0 { Self.read(copy, weights) }
    }
  }

  @Test("no number of the configuration makes the reader trap")
  func extremeNumbers() throws {
    let (config, weights) = try Self.members()
    let text = String(decoding: config, as: UTF8.self)
    let values = [
      "-1", "0", "2147483648", "9223372036854775807", "-9223372036854775808", "1e308", "NaN", "Infinity",
      "null",
      "\"x\"", "[]", "{}", "true", "[9223372036854775807, 9223372036854775807]",
    ]
    for match in text.matches(of: /[ \[](-?[0-9][0-9.e-]*|null|true|false)/) {
      for value in values {
        var changed = text
        changed.replaceSubrange(match.1.startIndex..<match.1.endIndex, with: value)
        Self.read(Array(changed.utf8), weights)
      }
    }
  }

  @Test("no damage to the weights makes the reader trap")
  func damagedWeights() throws {
    let (config, weights) = try Self.members()
    // That no byte stops the HDF5 reader is shown with its own tests; here, what the loader makes of what it reads.
    for index in stride(from: 0, to: weights.count, by: 5) {
      for value in [0, 255] as [UInt8] {
        var copy = weights
        copy[index] = value
        Self.read(config, copy)
      }
    }
  }

  @Test("class names become Keras' keys")
  func keys() {
    let expected = [
      "Dense": "dense", "Conv2D": "conv2d", "Conv2DTranspose": "conv2d_transpose",
      "MaxPooling2D": "max_pooling2d",
      "ReLU": "re_lu", "LeakyReLU": "leaky_re_lu", "PReLU": "p_re_lu", "ELU": "elu", "LSTM": "lstm",
      "GRUCell": "gru_cell", "ConvLSTM2D": "conv_lstm2d", "BatchNormalization": "batch_normalization",
      "SpatialDropout2D": "spatial_dropout2d", "RMSprop": "rm_sprop", "AdamW": "adam_w",
    ]
    for (name, key) in expected { #expect(KerasPaths.key(ofClass: name) == key) }
  }
}
