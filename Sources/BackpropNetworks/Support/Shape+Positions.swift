import BackpropTensors

extension Shape {
  /// Where an input of this shape has the axes, counted from the front, in the order given.
  ///
  /// - Throws: ``ModelError`` for an axis that isn't there, or is named twice.
  func positions(of axes: [Int], path: String) throws -> [Int] {
    let found = try axes.map { axis in
      guard let position = position(of: axis) else {
        throw ModelError(.shape, at: path, "there is no axis \(axis) in an input of shape \(self)")
      }
      return position
    }
    guard Set(found).count == found.count else {
      throw ModelError(.argument, at: path, "the axes \(axes) name one of an input of shape \(self) twice")
    }
    return found
  }
}
