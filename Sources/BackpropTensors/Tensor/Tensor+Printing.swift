extension Tensor: CustomStringConvertible {
  public var description: String { isTraced ? "\(type), traced" : "\(type) \(doubles)" }
}
