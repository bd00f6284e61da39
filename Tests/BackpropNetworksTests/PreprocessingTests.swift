import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

@Suite("Preprocessing as Keras has it") struct PreprocessingTests {
  static let cases = Golden("preprocessing").cases
  static let texts = cases.filter { $0.has("strings") }
  static let tensors = cases.filter { $0.has("input") && !$0.has("drawn") }
  static let random = cases.filter { $0.has("drawn") }

  static func layer(_ golden: GoldenCase) throws -> Layer {
    let object = GoldenCase(values: golden.values["layer"] as! [String: Any])
    let config = object.config("config")
    return try LayerRegistry.named(object.text("class_name")).layer(
      config: config, name: config["name"]?.text, trainable: true, dtype: .float32)
  }

  private func adapt(_ layer: Layer, _ golden: GoldenCase) throws {
    guard golden.has("adapt") else { return }
    let data = golden.values["adapt"]!
    switch layer {
    case let layer as Normalization: try layer.adapt(goldenTensor(data))
    case let layer as Discretization: try layer.adapt(goldenTensor(data))
    case let layer as IntegerLookup: try layer.adapt(goldenTensor(data))
    case let layer as TextVectorization: try layer.adapt(data as! [String])
    case let layer as StringLookup:
      if let documents = data as? [[String]] {
        try layer.adapt(documents)
      } else {
        try layer.adapt(data as! [String])
      }
    default: Issue.record("\(layer.className) can't be adapted")
    }
  }

  @Test("text", arguments: texts.indices)
  func text(_ index: Int) throws {
    let golden = Self.texts[index]
    let layer = try Self.layer(golden)
    try adapt(layer, golden)
    let strings = golden.values["strings"]!
    let (flat, rows) = (strings as? [String], strings as? [[String]])
    let output: Tensor
    var vocabulary: [String]?
    switch layer {
    case let layer as Hashing: output = try flat.map { try layer($0) } ?? layer(rows!)
    case let layer as StringLookup:
      output = try flat.map { try layer($0) } ?? layer(rows!)
      vocabulary = try layer.getVocabulary()
      #expect(try layer.vocabularySize() == vocabulary!.count)
    case let layer as TextVectorization:
      output = try layer(flat!)
      vocabulary = try layer.getVocabulary()
    default: return #expect(Bool(false), "\(layer.className) takes no text")
    }
    expectClose(output, golden.tensor("output"), atol: 1e-6, rtol: 1e-6, layer.className)
    if golden.has("vocabulary") { #expect(vocabulary == golden.values["vocabulary"] as? [String]) }
  }

  @Test("numbers, sound and images", arguments: tensors.indices)
  func values(_ index: Int) throws {
    let golden = Self.tensors[index]
    let layer = try Self.layer(golden)
    try adapt(layer, golden)
    let input = golden.tensor("input")
    // Pixels are up to 255; decibels are logarithms of what may nearly cancel.
    let isLoud = layer is MelSpectrogram || layer is Resizing || layer is CenterCrop
    let atol = isLoud ? 1e-3 : 1e-5
    if golden.has("count_weights") {
      let output = try (layer as! CategoryEncoding).encode(
        input, countWeights: golden.tensor("count_weights"))
      return expectClose(output, golden.tensor("output"), atol: atol, rtol: 1e-5, layer.className)
    }
    try layer.prepare([input.shape])
    if (layer as? STFTSpectrogram)?.configuration.mode == "angle" {
      // π and −π are one angle, which rounding chooses between. The highest frequency's imaginary part is nothing but
      // the rounding of Keras' float32 kernel.
      let (found, expected) = (layer(input), golden.tensor("output"))
      expectClose(found.cos(), expected.cos(), atol: 1e-3, layer.className)
      return expectClose(found.sin(), expected.sin(), atol: 1e-3, layer.className)
    }
    expectClose(layer(input), golden.tensor("output"), atol: atol, rtol: 1e-5, layer.className)
    if let lookup = layer as? IntegerLookup {
      if golden.has("vocabulary") {
        let expected = (golden.values["vocabulary"] as! [Any]).map { configValue($0).int! }
        #expect(try lookup.getVocabulary() == expected)
      }
      if lookup.configuration.oovMethod == "farmhash" || lookup.configuration.salt != nil { return }
    }
    if layer is Hashing { return }
    let recorded = compiled { [layer($0[0])] }
    expectClose(
      recorded([input])[0], golden.tensor("output"), atol: atol, rtol: 1e-5, "\(layer.className) compiled")
  }

  @Test("random images, by what was drawn", arguments: random.indices)
  func drawn(_ index: Int) throws {
    let golden = Self.random[index]
    let layer = try #require(try Self.layer(golden) as? RandomImageLayer)
    let input = golden.tensor("input")
    try layer.prepare([input.shape])
    let drawn = golden.tensors("drawn")
    let output = layer.transform(input, drawn)
    expectClose(output, golden.tensor("output"), atol: 2e-3, rtol: 1e-5, layer.className)
    expectClose(layer(input), golden.tensor("inference"), atol: 1e-5, layer.className)
    if golden.has("labels") {
      let labels = golden.tensor("labels")
      let mixed = (layer as? MixUp)?.mixed(labels, drawn) ?? (layer as? CutMix)?.mixed(labels, drawn)
      expectClose(try #require(mixed), golden.tensor("mixed_labels"), atol: 1e-6, layer.className)
    }
    // What is drawn here has the shapes of what Keras draws, and is the same for the same seed, compiled or not.
    let ours = layer.draw(input.shape, RandomGenerator(seed: 4))
    for (mine, theirs) in zip(ours, drawn) where mine.rank > 0 && theirs.count > 0 {
      #expect(mine.shape == theirs.shape || mine.rank < theirs.rank)
    }
    let (first, second) = (try Self.layer(golden), try Self.layer(golden))
    let eager = first(input, .training)
    let recorded = compiled { [second($0[0], .training)] }
    expectClose(recorded([input])[0], eager, atol: 1e-3, rtol: 1e-5, "\(layer.className) by its seed")
    #expect(eager.shape == golden.tensor("output").shape)
  }

  @Test("every preprocessing layer has goldens in three configurations, and makes its configuration again")
  func roundTrips() throws {
    var counts: [String: Set<String>] = [:]
    for golden in Self.cases {
      let layer = try #require(try Self.layer(golden) as? any ConfigurableLayer)
      try roundTrip(layer)
      counts[layer.className, default: []].insert("\(golden.testDescription)\(golden.values["layer"]!)")
    }
    for (name, found) in counts { #expect(found.count >= 3, "\(name)") }
    let adapted = StringLookup()
    try adapted.adapt(["a", "b", "a"])
    try roundTrip(adapted)
  }

  private func roundTrip<Made: ConfigurableLayer>(_ layer: Made) throws {
    let again = try LayerRegistry.named(layer.className).layer(
      config: try LayerClass.config(of: layer), name: nil, trainable: true, dtype: .float32)
    #expect((again as? Made)?.configuration == layer.configuration)
  }

  // MARK: What is drawn

  private func expectMoments(
    _ numbers: Tensor, mean: Double, variance: Double, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let count = Double(numbers.count)
    let found = numbers.cast(to: .float64)
    let deviation = (variance / count).squareRoot()
    #expect(abs(found.mean().item() - mean) < 5 * deviation, "\(what)", sourceLocation: sourceLocation)
    #expect(
      abs(found.variance().item() / variance - 1) < 15 / count.squareRoot(), "\(what)",
      sourceLocation: sourceLocation)
  }

  @Test("what is drawn has the distribution that Keras draws from")
  func moments() {
    let shape: Shape = [20_000, 8, 10, 1]
    let random = RandomGenerator(seed: 3)
    func uniform(_ numbers: Tensor, _ low: Double, _ high: Double, _ what: String) {
      let width = high - low
      expectMoments(numbers, mean: (low + high) / 2, variance: width * width / 12, what)
      #expect(numbers.min().item() >= low - 1e-4 && numbers.max().item() <= high + 1e-4, "\(what)")
    }
    expectMoments(
      RandomFlip().draw(shape, random)[0].cast(to: .float32), mean: 0.5, variance: 0.25, "flips")
    uniform(RandomRotation(0.25).draw(shape, random)[0], -90, 90, "angles")
    uniform(RandomZoom([-0.2, 0.4]).draw(shape, random)[0], 0.8, 1.4, "zooms")
    uniform(RandomTranslation(0.5, 0.2).draw(shape, random)[0], -4, 4, "rows")
    uniform(RandomTranslation(0.5, 0.2).draw(shape, random)[1], -2, 2, "columns")
    uniform(RandomContrast(0.5).draw(shape, random)[0], 1, 1.5, "contrasts")
    uniform(RandomBrightness(0.1).draw(shape, random)[0], -25.5, 25.5, "brightness")
    let erased = RandomErasing(0.5, scale: [0.25, 0.25], fillValue: 1.0).draw(shape, random)
    expectMoments(erased[1].cast(to: .float32), mean: 0.25, variance: 0.1875, "erased images")
    uniform(erased[0].sliced(axis: 1, from: 0, count: 1), 0, 5, "left edges")
    for alpha in [0.2, 1, 4] {
      let shares = MixUp(alpha: alpha).draw(shape, random)[0]
      expectMoments(shares, mean: 0.5, variance: 1 / (4 * (2 * alpha + 1)), "beta of \(alpha)")
    }
    #expect(MixUp().draw(shape, random)[1].sorted().integers == Array(0..<20_000))
    let starts = (0..<2000).map { _ in RandomCrop(3, 4).draw([1, 8, 10, 1], random)[0].integers[0] }
    #expect(Set(starts) == Set(0...5))
  }

  @Test("images and labels are mixed alike")
  func mixedTogether() {
    let images = RandomGenerator(seed: 1).uniform([6, 4, 4, 1])
    let labels = Tensor.eye(6)
    let context = CallContext(isTraining: true, random: RandomGenerator(seed: 2))
    for layer in [MixUp(alpha: 1, seed: 5), CutMix(1.0, seed: 5)] as [Layer] {
      let mixed = layer([images, labels], context)
      #expect(mixed.count == 2)
      expectClose(mixed[1].sum(axes: [1]), Tensor.ones([6]), atol: 1e-5)
      #expect(layer([images, labels], .inference)[1].floats == labels.floats)
    }
  }

  // MARK: Bad input

  private static let refusals: [(String, @Sendable () throws -> Void, String)] = [
    (
      "unknown string", { _ = try StringLookup(vocabulary: ["a"], oovIndexCount: 0)(["a", "b", "c"]) },
      "string_lookup: 'b' at position 1 isn't in the vocabulary; num_oov_indices of 1 gives unknown tokens a number"
    ),
    (
      "unknown number",
      { _ = try IntegerLookup(vocabulary: [5], oovIndexCount: 0).lookUp(Tensor([5, 7, 8])) },
      "integer_lookup: '7' at position 1 isn't in the vocabulary; num_oov_indices of 1 gives unknown tokens a number"
    ),
    (
      "category", { _ = try CategoryEncoding(3).encode(Tensor([0, 2, 3, -1])) },
      "category_encoding: expected categories in 0..<3, got 3 at position 2"
    ),
    (
      "no vocabulary", { _ = try StringLookup()(["a"]) },
      "string_lookup: has no vocabulary yet; call adapt(_:) or setVocabulary(_:) first"
    ),
    (
      "repeated", { try StringLookup().setVocabulary(["a", "b", "a"]) },
      "string_lookup: the vocabulary has 'a' twice, at 0 and 2"
    ),
    (
      "too large", { try StringLookup(maxTokens: 2).setVocabulary(["a", "b"]) },
      "string_lookup: the vocabulary has 3 tokens, special ones included, max_tokens is 2"
    ),
    (
      "strings in a model", { try StringLookup(vocabulary: ["a"]).prepare([[2]]) },
      "string_lookup: looks up strings: call it with them before the model, and give the model numbers"
    ),
    (
      "rows", { _ = try Hashing(binCount: 3)([["a"], ["b", "c"]]) },
      "hashing: expected rows of one length, row 0 has 1 strings, row 1 2"
    ),
    (
      "channels", { try RandomErasing(fillValue: [1, 2]).prepare([[1, 4, 4, 3]]) },
      "random_erasing: the fill value has 2 numbers, the images 3 channels"
    ),
    (
      "not images", { try Resizing(2, 2).prepare([[4, 4]]) },
      "resizing: expected images of [batch, height, width, channels] or [height, width, channels], got [4, 4]"
    ),
    (
      "short signal", { try STFTSpectrogram(frameLength: 8).prepare([[1, 5, 1]]) },
      "stft_spectrogram: the signal's 5 steps are fewer than a frame's 8: [1, 5, 1]"
    ),
    (
      "statistics",
      {
        let layer = Normalization()
        try layer.adapt(Tensor.ones([3, 2]))
        try layer.prepare([[3, 4]])
      }, "normalization: has statistics of shape [2], the input [3, 4] needs [4]"
    ),
    (
      "boundaries", { try Discretization(boundaries: [1]).adapt(Tensor([1] as [Float])) },
      "discretization: was given boundaries: there is nothing to adapt"
    ),
    (
      "options from a file",
      {
        let known = try LayerRegistry.named("RandomZoom")
        let layer = try known.layer(
          config: ["height_factor": 0.1, "fill_mode": "mirror"], name: nil, trainable: true, dtype: .float32)
        try layer.prepare([[1, 4, 4, 1]])
      }, "random_zoom: expected the fill mode reflect, wrap, constant or nearest, got mirror"
    ),
  ]

  @Test("what can't be is refused by name", arguments: refusals.indices)
  func badInput(_ index: Int) {
    let (name, body, expected) = Self.refusals[index]
    #expect(message(body) == expected, "\(name)")
  }
}
