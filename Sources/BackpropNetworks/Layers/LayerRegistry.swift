import BackpropTensors
import Foundation

/// The layers that files can name, by Keras' class name. A layer that isn't here can't be saved or loaded.
package enum LayerRegistry {
  /// One example of each, made with the defaults; keys without a default are named, and those that came after Keras 3.0.
  package static let classes: [LayerClass] =
    [
      LayerClass(Input([1]), required: ["batch_shape"]),
      LayerClass(Dense(1), required: ["units"]),
      LayerClass(Activation(.linear), required: ["activation"]),
      LayerClass(ReLU()),
      LayerClass(LeakyReLU()),
      LayerClass(PReLU()),
      LayerClass(ELU()),
      LayerClass(Softmax()),
      LayerClass(Dropout(0), required: ["rate"]),
      LayerClass(Flatten()),
      LayerClass(Reshape([1]), required: ["target_shape"]),
      LayerClass(Rescaling(1), required: ["scale"]),
    ] + composed + recurrent + images + preprocessing

  /// Merging, normalisation, noise, sequences.
  private static let composed: [LayerClass] = [
    LayerClass(Add()),
    LayerClass(Subtract()),
    LayerClass(Multiply()),
    LayerClass(Average()),
    LayerClass(Maximum()),
    LayerClass(Minimum()),
    LayerClass(Concatenate()),
    LayerClass(Dot(axes: -1), required: ["axes"]),
    LayerClass(EinsumDense("ab,bc->ac", outputShape: [1]), required: ["equation", "output_shape"]),
    LayerClass(Identity()),
    LayerClass(Permute([1]), required: ["dims"]),
    LayerClass(RepeatVector(1), required: ["n"]),
    LayerClass(BatchNormalization()),
    LayerClass(LayerNormalization()),
    LayerClass(GroupNormalization()),
    LayerClass(RMSNormalization()),
    LayerClass(UnitNormalization()),
    LayerClass(SpectralNormalization(Dense(1)), required: ["layer"]),
    LayerClass(SpatialDropout1D(0), required: ["rate"]),
    LayerClass(SpatialDropout2D(0), required: ["rate"]),
    LayerClass(SpatialDropout3D(0), required: ["rate"]),
    LayerClass(GaussianDropout(0), required: ["rate"]),
    LayerClass(GaussianNoise(0), required: ["stddev"]),
    LayerClass(AlphaDropout(0), required: ["rate"]),
    LayerClass(ActivityRegularization()),
    LayerClass(Embedding(1, 1), required: ["input_dim", "output_dim"]),
    LayerClass(Masking()),
    LayerClass(TimeDistributed(Dense(1)), required: ["layer"]),
    LayerClass(Attention()),
    LayerClass(AdditiveAttention()),
    LayerClass(
      MultiHeadAttention(1, keyDim: 1), required: ["num_heads", "key_dim"],
      newer: ["seed", "sliding_window", "use_gate"]),
    LayerClass(
      GroupQueryAttention(headDim: 1, numQueryHeads: 1, numKeyValueHeads: 1),
      required: ["head_dim", "num_query_heads", "num_key_value_heads"],
      newer: ["seed", "sliding_window", "use_gate"]),
  ]

  private static let recurrent: [LayerClass] = [
    LayerClass(SimpleRNN(1), required: ["units"]),
    LayerClass(LSTM(1), required: ["units"]),
    LayerClass(GRU(1), required: ["units"]),
    LayerClass(SimpleRNNCell(1), required: ["units"]),
    LayerClass(LSTMCell(1), required: ["units"]),
    LayerClass(GRUCell(1), required: ["units"]),
    LayerClass(StackedRNNCells([LSTMCell(1)]), required: ["cells"]),
    LayerClass(RNN(LSTMCell(1)), required: ["cell"]),
    LayerClass(Bidirectional(LSTM(1)), required: ["layer"], withoutDefault: ["backward_layer"]),
    LayerClass(ConvLSTM1D(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(ConvLSTM2D(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(ConvLSTM3D(1, kernelSize: 1), required: ["filters", "kernel_size"]),
  ]

  private static let images: [LayerClass] = [
    LayerClass(Conv1D(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(Conv2D(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(Conv3D(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(Conv1DTranspose(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(Conv2DTranspose(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(Conv3DTranspose(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(DepthwiseConv1D(kernelSize: 1), required: ["kernel_size"]),
    LayerClass(DepthwiseConv2D(kernelSize: 1), required: ["kernel_size"]),
    LayerClass(SeparableConv1D(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(SeparableConv2D(1, kernelSize: 1), required: ["filters", "kernel_size"]),
    LayerClass(MaxPooling1D(), withoutDefault: ["strides"]),
    LayerClass(MaxPooling2D(), withoutDefault: ["strides"]),
    LayerClass(MaxPooling3D(), withoutDefault: ["strides"]),
    LayerClass(AveragePooling1D(2), required: ["pool_size"], withoutDefault: ["strides"]),
    LayerClass(AveragePooling2D(2), required: ["pool_size"], withoutDefault: ["strides"]),
    LayerClass(AveragePooling3D(2), required: ["pool_size"], withoutDefault: ["strides"]),
    LayerClass(GlobalMaxPooling1D()),
    LayerClass(GlobalMaxPooling2D()),
    LayerClass(GlobalMaxPooling3D()),
    LayerClass(GlobalAveragePooling1D()),
    LayerClass(GlobalAveragePooling2D()),
    LayerClass(GlobalAveragePooling3D()),
    LayerClass(AdaptiveMaxPooling1D(1), required: ["output_size"]),
    LayerClass(AdaptiveMaxPooling2D(1), required: ["output_size"]),
    LayerClass(AdaptiveMaxPooling3D(1), required: ["output_size"]),
    LayerClass(AdaptiveAveragePooling1D(1), required: ["output_size"]),
    LayerClass(AdaptiveAveragePooling2D(1), required: ["output_size"]),
    LayerClass(AdaptiveAveragePooling3D(1), required: ["output_size"]),
    LayerClass(ZeroPadding1D(), newer: ["data_format"]),
    LayerClass(ZeroPadding2D()),
    LayerClass(ZeroPadding3D()),
    LayerClass(Cropping1D()),
    LayerClass(Cropping2D(0)),
    LayerClass(Cropping3D(1)),
    LayerClass(UpSampling1D()),
    LayerClass(UpSampling2D()),
    LayerClass(UpSampling3D()),
  ]

  private static let preprocessing: [LayerClass] = [
    LayerClass(Normalization()),
    LayerClass(CategoryEncoding(1), required: ["num_tokens"]),
    LayerClass(Discretization.example),
    LayerClass(Hashing(binCount: 1), required: ["num_bins"]),
    LayerClass(IntegerLookup(), newer: ["oov_method", "salt", "vocabulary_size"]),
    LayerClass(StringLookup()),
    LayerClass(TextVectorization(), needed: ["standardize", "split", "ngrams"]),
    LayerClass(STFTSpectrogram()),
    LayerClass(MelSpectrogram()),
    LayerClass(
      Resizing(1, 1), required: ["height", "width"],
      newer: ["antialias", "fill_mode", "fill_value", "pad_to_aspect_ratio"]),
    LayerClass(CenterCrop(1, 1), required: ["height", "width"]),
    LayerClass(RandomFlip(), newer: ["data_format"]),
    LayerClass(RandomRotation(0.0), required: ["factor"]),
    LayerClass(RandomZoom(0.0), required: ["height_factor"]),
    LayerClass(RandomTranslation(0.0, 0.0), required: ["height_factor", "width_factor"]),
    LayerClass(RandomCrop(1, 1), required: ["height", "width"]),
    LayerClass(RandomContrast(0.0), required: ["factor"], newer: ["data_format", "value_range"]),
    LayerClass(RandomBrightness(0.0), required: ["factor"], newer: ["data_format"]),
    LayerClass(RandomErasing()),
    LayerClass(MixUp()),
    LayerClass(CutMix()),
  ]

  /// Layers that work on data before the model sees it, on texts and numbers that stand for something.
  package static let preprocessingNames = Set(preprocessing.map(\.className))

  private static let byName = Dictionary(uniqueKeysWithValues: classes.map { ($0.className, $0) })

  /// - Throws: ``ModelError`` with the nearest name when there is none of this one.
  package static func named(_ className: String) throws -> LayerClass {
    if let found = byName[className] { return found }
    throw ModelError.unknown("layer class", className, among: classes.map(\.className))
  }
}

/// What files need to know of a class of layers.
package struct LayerClass: Sendable {
  package let className: String
  /// Whether Keras' constructor takes `trainable`.
  package let hasTrainable: Bool
  /// All keys of its configuration.
  package let keys: Set<String>
  private let required: Set<String>
  private let needed: Set<String>
  private let newer: Set<String>
  private let defaults: [String: ConfigValue]
  private let make: @Sendable ([String: ConfigValue], String?, Bool, DTypePolicy) throws -> Layer

  /// - Parameters:
  ///   - withoutDefault: keys of which the example's values are its own.
  ///   - needed: keys that Keras wants to be there when they are null.
  ///   - newer: keys that Keras 3.0 doesn't know.
  init<Example: ConfigurableLayer>(
    _ example: Example, required: Set<String> = [], withoutDefault: Set<String> = [],
    needed: Set<String> = [], newer: Set<String> = []
  ) {
    self.needed = needed
    self.newer = newer
    className = example.className
    hasTrainable = Example.savesTrainable
    self.required = required
    keys = Set(configurationFields(example.configuration).map { KerasNaming.key($0.label) })
    do {
      defaults = try Self.$isMakingExamples.withValue(true) { try Self.encoded(example) }
        .filter { !withoutDefault.contains($0.key) }
    } catch { programmerError("\(className): \(error)") }
    make = { config, name, trainable, dtype in
      let data = try JSONEncoder().encode(config)
      let configuration = try KerasJSON.decode(Example.Configuration.self, from: data)
      return Example(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
    }
  }

  /// A new layer like the registry's example.
  package func example(dtype: DTypePolicy = .default) throws -> Layer { try make(defaults, nil, true, dtype) }

  /// A layer of this class. Keys that are missing have their defaults, keys that aren't known are left out.
  ///
  /// - Throws: ``ModelError`` for a key that must be there, `DecodingError` for a value of the wrong kind.
  package func layer(
    config: [String: ConfigValue], name: String?, trainable: Bool, dtype: DTypePolicy
  ) throws -> Layer {
    for key in required.sorted() where config[key] == nil {
      throw ModelError(.argument, "\(className): expected the key '\(key)' in the configuration, found none")
    }
    let known = config.filter { keys.contains($0.key) }
    return try make(defaults.merging(known) { $1 }, name, trainable, dtype)
  }

  /// In force while the registry is made: an example with a layer inside can't look into it.
  @TaskLocal private static var isMakingExamples = false

  /// The layer's configuration under Keras' keys; nil is written where the default is something.
  package static func config(of layer: some ConfigurableLayer) throws -> [String: ConfigValue] {
    var config = try encoded(layer)
    guard !isMakingExamples, let known = try? LayerRegistry.named(layer.className) else { return config }
    for key in known.needed where config[key] == nil { config[key] = .null }
    for (key, value) in known.defaults where config[key] == nil && value != .null { config[key] = .null }
    return config
  }

  private static func encoded(_ layer: some ConfigurableLayer) throws -> [String: ConfigValue] {
    let data = try KerasJSON.encode(layer.configuration)
    var config = try JSONDecoder().decode([String: ConfigValue].self, from: data)
    // 1.0 became 1 on the way, which PyTorch, whose functions Keras hands some of these to, takes for another type.
    for field in configurationFields(layer.configuration) where field.value is Double {
      let key = KerasNaming.key(field.label)
      if case .integer(let whole)? = config[key] { config[key] = .number(Double(whole)) }
    }
    return config
  }

  /// The same with name, dtype and whether it is trained; nil for a layer without a configuration.
  package static func fullConfig(of layer: Layer) throws -> [String: ConfigValue]? {
    guard let configured = layer as? any ConfigurableLayer else { return nil }
    var config = try config(of: configured)
    // Keys that an older Keras doesn't know stop it; what is the default says nothing.
    if !isMakingExamples, let known = try? LayerRegistry.named(layer.className) {
      config = config.filter { key, value in
        !known.newer.contains(key) || value != known.defaults[key] ?? .null
      }
    }
    config["name"] = .string(layer.name)
    // An input's configuration has a dtype of its own.
    if config["dtype"] == nil { config["dtype"] = .string(layer.dtypePolicy.name) }
    if type(of: layer).savesTrainable { config["trainable"] = .bool(layer.trainable) }
    return config
  }
}
