extension Tensor {
  private var asPositions: Tensor { dtype == .int64 ? self : cast(to: .int32) }

  /// The slices along `axis` at `positions`: the shape with that axis replaced by `positions.shape` (NumPy's `take`).
  ///
  /// ```swift
  /// let x = Tensor([[1, 2], [3, 4], [5, 6]] as [[Float]])
  /// x.gathered(Tensor([2, 0]))              // [[5, 6], [1, 2]]
  /// x.gathered(Tensor([1]), axis: 1)        // [[2], [4], [6]]
  /// ```
  ///
  /// A position outside the axis stops the program; inside ``compiled(_:)`` it gives zeros.
  public func gathered(
    _ positions: Tensor, axis: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let axis = self.positions(of: [axis], in: "gathered", file: file, line: line)[0]
    let operation = Operation.indexing(.gatherRows(affine: nil))
    if axis == 0 { return apply(operation, self, positions.asPositions, file: file, line: line) }
    let others = (0..<rank).filter { $0 != axis }
    let rows = apply(operation, transposed([axis] + others), positions.asPositions, file: file, line: line)
    // The axes of `positions` are in front; they belong where the axis was.
    let taken = Array(0..<positions.rank)
    let rest = (0..<others.count).map { $0 + positions.rank }
    return rows.transposed(Array(rest[..<axis]) + taken + Array(rest[axis...]))
  }

  /// The rows at `positions` as float32, each element times `scale` plus `shift`, in one pass.
  package func gatheredRows(_ positions: Tensor, scale: Float, shift: Float) -> Tensor {
    apply(.indexing(.gatherRows(affine: .init(scale: scale, shift: shift))), self, positions)
  }

  /// For each element of `positions` the element of this tensor at that position along `axis` and at the same place
  /// along the others, which broadcast: NumPy's `take_along_axis`.
  ///
  /// ```swift
  /// x.takenAlong(axis: -1, at: x.argSorted())     // x.sorted()
  /// ```
  public func takenAlong(
    axis: Int, at positions: Tensor, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let place = self.positions(of: [axis], in: "takeAlongAxis", file: file, line: line)[0]
    var (source, index) = (self, positions.asPositions)
    if rank == index.rank {
      // Both are stretched along every axis but the one.
      var (left, right) = (shape, index.shape)
      (left.dimensions[place], right.dimensions[place]) = (1, 1)
      if left != right, let common = Shape.broadcast(left, right) {
        (left, right) = (common, common)
        left.dimensions[place] = shape.dimensions[place]
        right.dimensions[place] = index.shape.dimensions[place]
        (source, index) = (broadcast(to: left), index.broadcast(to: right))
      }
    }
    return apply(.indexing(.takeAlong(axis: place)), source, index, file: file, line: line)
  }

  /// Zeros with `size` places along `axis`, and each element added at its position there: the gradient of
  /// ``takenAlong(axis:at:file:line:)``.
  public func scatterAdded(
    alongAxis axis: Int, size: Int, at positions: Tensor, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let place = self.positions(of: [axis], in: "scatterAddAlongAxis", file: file, line: line)[0]
    let operation = IndexingOperation.scatterAddAlong(axis: place, size: size)
    return apply(.indexing(operation), self, positions.asPositions, file: file, line: line)
  }

  /// Zeros of `rows` rows with this tensor's rows added at `positions`, in order. A position outside stops the program;
  /// inside ``compiled(_:)`` its row is left out.
  public func scatterAdded(
    rows: Int, at positions: Tensor, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    apply(.indexing(.scatterAddRows(rows: rows)), self, positions.asPositions, file: file, line: line)
  }

  /// The same tensor with the rows at `positions` replaced by those of `rows`, in order: of several for one place the
  /// last remains. A position outside stops the program; inside ``compiled(_:)`` its row is left out.
  public func replacingRows(
    at positions: Tensor, with rows: Tensor, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    apply(.indexing(.replaceRows), self, rows.cast(to: dtype), positions.asPositions, file: file, line: line)
  }
}
