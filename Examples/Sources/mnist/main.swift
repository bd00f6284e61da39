import Backprop

let (train, test) = try MNIST.load()
let model = Sequential {
  Dense(64, activation: .relu)
  Dense(64, activation: .relu)
  Dense(10, activation: .softmax)
}
try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
try model.fit(train.images, train.labels, epochs: 5, batchSize: 64, validationData: test)
let result = try model.evaluate(test.images, test.labels)
print("test loss \(result.loss), test accuracy \(result["accuracy"]!)")
