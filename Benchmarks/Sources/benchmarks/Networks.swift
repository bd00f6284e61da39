import Backprop

/// The networks that are measured, as `peers/` builds them too.
enum Networks {
  /// The guide's program.
  static func guide(eager: Bool = false, seed: Int = 0) throws -> Sequential {
    let model = Sequential(seed: seed) {
      Dense(64, activation: .relu)
      Dense(64, activation: .relu)
      Dense(10, activation: .softmax)
    }
    try model.compile(
      optimizer: Adam(), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy], runEagerly: eager)
    return model
  }

  /// 784-2048-2048-10.
  static func wide() throws -> Sequential {
    let model = Sequential {
      Dense(2048, activation: .relu)
      Dense(2048, activation: .relu)
      Dense(10, activation: .softmax)
    }
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    return model
  }

  /// Keras' example for MNIST: two convolutions, each with max pooling, and a dense layer.
  static func convnet() throws -> Sequential {
    let model = Sequential {
      Conv2D(32, kernelSize: 3, activation: .relu)
      MaxPooling2D()
      Conv2D(64, kernelSize: 3, activation: .relu)
      MaxPooling2D()
      Flatten()
      Dropout(0.5)
      Dense(10, activation: .softmax)
    }
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    return model
  }

  /// 784-128-64-32-64-128-784, trained to give its input back.
  static func autoencoder() throws -> Sequential {
    let model = Sequential {
      for units in [128, 64, 32, 64, 128] { Dense(units, activation: .relu) }
      Dense(784, activation: .sigmoid)
    }
    try model.compile(optimizer: Adam(), loss: .mse)
    return model
  }
}
