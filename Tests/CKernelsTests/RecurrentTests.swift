import CKernels
import Foundation
import Testing

/// One application of a cell along the time axis: numbers for the kernels, and plain loops in double to compare with.
private struct Recurrent: CustomTestStringConvertible, Sendable {
  var cell: ck_cell
  var batch, time, units: Int
  var masked = false
  var backwards = false

  var gates: Int { cell == CK_SIMPLE_CELL ? 1 : cell == CK_LSTM_CELL ? 4 : 3 }
  var hasExtra: Bool { cell == CK_LSTM_CELL || cell == CK_GRU_CELL }
  var testDescription: String {
    "cell \(cell.rawValue), \(batch) × \(time) × \(units)\(masked ? ", masked" : "")\(backwards ? ", backwards" : "")"
  }

  static let all: [Recurrent] = [CK_SIMPLE_CELL, CK_LSTM_CELL, CK_GRU_CELL, CK_GRU_CELL_RESET_BEFORE]
    .flatMap { cell in
      [
        Recurrent(cell: cell, batch: 1, time: 5, units: 3),
        Recurrent(cell: cell, batch: 33, time: 4, units: 16, masked: true),
        Recurrent(cell: cell, batch: 7, time: 3, units: 37, masked: true, backwards: true),
        Recurrent(cell: cell, batch: 19, time: 2, units: 64, backwards: true),
        Recurrent(cell: cell, batch: 3, time: 0, units: 9),
        Recurrent(cell: cell, batch: 17, time: 2, units: 128),
      ]
    }

  private func numbers(_ count: Int, _ seed: Int, _ scale: Float) -> [Float] {
    (0..<count).map { scale * (Float(($0 &* 7919 &+ seed &* 104_729) % 2003) / 1001.5 - 1) }
  }

  var x: [Float] { numbers(batch * time * gates * units, 1, 2) }
  var kernel: [Float] { numbers(units * gates * units, 2, 1.5 / Float(units).squareRoot()) }
  var bias: [Float] { numbers(gates * units, 3, 0.5) }
  var initial: [Float] { numbers(batch * units, 4, 1) }
  var initialCell: [Float] { numbers(batch * units, 5, 1) }
  var mask: [UInt8] { (0..<batch * time).map { $0 % 5 == 2 || $0 % 7 == 0 ? 0 : 1 } }
  /// Weights of the outputs and final states in the number that is differentiated.
  var outputWeights: [Float] { numbers(batch * time * units, 6, 1) }
  var lastWeights: [Float] { numbers(batch * units, 7, 1) }
  var cellWeights: [Float] { numbers(batch * units, 8, 1) }

  struct Values {
    var outputs, last, cells: [Double]
  }

  /// In double, for all rows or for one, whose results alone are then filled in.
  func reference(_ x: [Double], _ initial: [Double], _ initialCell: [Double], row only: Int? = nil) -> Values
  {
    let kernel = kernel.map(Double.init), bias = bias.map(Double.init), mask = mask
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    let zeros = Array(repeating: 0.0, count: batch * units)
    var values = Values(
      outputs: Array(repeating: 0, count: batch * time * units), last: zeros, cells: zeros)
    for row in only.map({ $0..<$0 + 1 }) ?? 0..<batch {
      var h = Array(initial[row * units..<(row + 1) * units])
      var c = Array(initialCell[row * units..<(row + 1) * units])
      func product(_ h: [Double], _ column: Int) -> Double {
        (0..<units).reduce(0) { $0 + h[$1] * kernel[$1 * gates * units + column] }
      }
      for step in 0..<time {
        let position = row * time + (backwards ? time - 1 - step : step)
        if !masked || mask[position] != 0 {
          let old = h
          func sum(_ gate: Int, _ unit: Int) -> Double {
            x[position * gates * units + gate * units + unit] + product(old, gate * units + unit)
          }
          var resets: [Double] = []
          if cell == CK_GRU_CELL_RESET_BEFORE { resets = (0..<units).map { sigmoid(sum(1, $0)) * old[$0] } }
          for unit in 0..<units {
            switch cell {
            case CK_SIMPLE_CELL: h[unit] = tanh(sum(0, unit))
            case CK_LSTM_CELL:
              c[unit] = sigmoid(sum(1, unit)) * c[unit] + sigmoid(sum(0, unit)) * tanh(sum(2, unit))
              h[unit] = sigmoid(sum(3, unit)) * tanh(c[unit])
            default:
              let after = cell == CK_GRU_CELL
              let z = sigmoid(sum(0, unit) + (after ? bias[unit] : 0))
              let r = sigmoid(sum(1, unit) + (after ? bias[units + unit] : 0))
              let column = 2 * units + unit
              let recurrent = after ? r * (product(old, column) + bias[column]) : product(resets, column)
              let candidate = tanh(x[position * 3 * units + column] + recurrent)
              h[unit] = z * old[unit] + (1 - z) * candidate
            }
          }
        }
        for unit in 0..<units { values.outputs[(row * time + step) * units + unit] = h[unit] }
      }
      values.last.replaceSubrange(row * units..<(row + 1) * units, with: h)
      values.cells.replaceSubrange(row * units..<(row + 1) * units, with: c)
    }
    return values
  }

  /// Σ weight · result
  func weighted(_ values: Values) -> Double {
    func sum(_ a: [Double], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * Double($1.1) } }
    let states = sum(values.last, lastWeights) + (cell == CK_LSTM_CELL ? sum(values.cells, cellWeights) : 0)
    return sum(values.outputs, outputWeights) + states
  }

  struct Results: Equatable {
    var outputs, last, cells, projected, initial, initialCell: [Float]
    var isIntact: Bool
  }

  /// Forward and back, the gates over the projected inputs and their gradients over them again.
  func run() -> Results {
    let x = Memory(x), kernel = Memory(kernel), bias = Memory(bias), mask = Memory(mask)
    let initial = Memory(initial), initialCell = Memory(initialCell)
    let outputs = Memory(repeating: Float.nan, count: batch * time * units)
    let last = Memory(repeating: Float.nan, count: batch * units)
    let cells = Memory(repeating: Float.nan, count: batch * units)
    let previous = Memory(repeating: Float.nan, count: batch * time * units)
    let extra = Memory(repeating: Float.nan, count: batch * time * units)
    let product = Memory(repeating: Float.nan, count: batch * time * gates * units)
    let bytes = Int(ck_recurrent_scratch_bytes(Int64(batch), Int64(units), Int64(gates)))
    let scratch = Memory(repeating: Float.nan, count: bytes / 4)
    let isLSTM = cell == CK_LSTM_CELL
    var forward = ck_recurrent()
    forward.x = UnsafePointer(x.pointer)
    forward.kernel = UnsafePointer(kernel.pointer)
    forward.bias = cell == CK_GRU_CELL ? UnsafePointer(bias.pointer) : nil
    forward.states = (UnsafePointer(initial.pointer), isLSTM ? UnsafePointer(initialCell.pointer) : nil)
    forward.mask = masked ? UnsafePointer(mask.pointer) : nil
    forward.outputs = outputs.pointer
    forward.last = (last.pointer, isLSTM ? cells.pointer : nil)
    forward.previous = previous.pointer
    forward.gates = x.pointer
    forward.extra = hasExtra ? extra.pointer : nil
    (forward.batch, forward.time, forward.units) = (Int64(batch), Int64(time), Int64(units))
    forward.cell = Int32(bitPattern: cell.rawValue)
    forward.backwards = backwards
    forward.scratch = scratch.pointer
    withUnsafeMutablePointer(to: &forward) { ck_recurrent_run($0) }
    let outputWeights = Memory(outputWeights), lastWeights = Memory(lastWeights),
      cellWeights = Memory(cellWeights)
    let gradient = Memory(repeating: Float.nan, count: batch * units)
    let cellGradient = Memory(repeating: Float.nan, count: batch * units)
    var back = ck_recurrent_gradient()
    back.g_outputs = UnsafePointer(outputWeights.pointer)
    back.g_last = (UnsafePointer(lastWeights.pointer), isLSTM ? UnsafePointer(cellWeights.pointer) : nil)
    back.previous = UnsafePointer(previous.pointer)
    back.gates = UnsafePointer(x.pointer)
    back.extra = hasExtra ? UnsafePointer(extra.pointer) : nil
    back.initial_cell = UnsafePointer(initialCell.pointer)
    back.kernel = UnsafePointer(kernel.pointer)
    back.mask = forward.mask
    back.projected = x.pointer
    back.states = (gradient.pointer, isLSTM ? cellGradient.pointer : nil)
    back.product = cell == CK_GRU_CELL ? product.pointer : nil
    (back.batch, back.time, back.units) = (forward.batch, forward.time, forward.units)
    back.cell = forward.cell
    back.backwards = backwards
    back.scratch = scratch.pointer
    withUnsafeMutablePointer(to: &back) { ck_recurrent_gradient_run($0) }
    let intact = [outputs, last, cells, previous, extra, product, scratch, x, gradient, cellGradient]
      .allSatisfy(\.isIntact)
    keep(kernel, bias, mask, initial, initialCell, outputWeights, lastWeights, cellWeights)
    return Results(
      outputs: outputs.values, last: last.values, cells: isLSTM ? cells.values : [], projected: x.values,
      initial: gradient.values, initialCell: isLSTM ? cellGradient.values : [], isIntact: intact)
  }
}

extension Kernels {
  @Suite("Recurrent cells") struct RecurrentTests {
    @Test("are what plain loops compute, with every instruction set", arguments: Recurrent.all)
    private func values(_ test: Recurrent) {
      let exact = test.reference(
        test.x.map(Double.init), test.initial.map(Double.init), test.initialCell.map(Double.init))
      forEachInstructionSet { name in
        let results = test.run()
        #expect(results.isIntact, "\(name) writes past an end")
        #expect(isClose(results.outputs, exact.outputs), "outputs, \(name)")
        #expect(isClose(results.last, exact.last), "final states, \(name)")
        if test.cell == CK_LSTM_CELL { #expect(isClose(results.cells, exact.cells), "cells, \(name)") }
      }
    }

    @Test("go back as central differences of plain loops say", arguments: Recurrent.all)
    private func gradients(_ test: Recurrent) {
      let (x, h, c) = (
        test.x.map(Double.init), test.initial.map(Double.init), test.initialCell.map(Double.init)
      )
      func difference(_ place: Int, _ array: Int) -> Double {
        func value(_ step: Double) -> Double {
          var all = [x, h, c]
          all[array][place] += step
          let row = place / (all[array].count / test.batch)
          return test.weighted(test.reference(all[0], all[1], all[2], row: row))
        }
        return (value(1e-5) - value(-1e-5)) / 2e-5
      }
      /// A few places of an array, the first and the last among them.
      func places(_ count: Int) -> [Int] { count == 0 ? [] : (0..<6).map { $0 * (count - 1) / 5 } }
      let differences = [x, h, c].enumerated().map { array, values in
        places(values.count).map { ($0, difference($0, array)) }
      }
      forEachInstructionSet { name in
        let results = test.run()
        let arrays = [results.projected, results.initial, results.initialCell]
        for (array, list) in zip(arrays, differences) where !array.isEmpty {
          for (place, difference) in list {
            #expect(
              abs(Double(array[place]) - difference) < 1e-4 + 1e-4 * abs(difference), "\(name), \(place)")
          }
        }
      }
    }

    @Test("give the same bits on one thread and on two", arguments: Recurrent.all)
    private func threads(_ test: Recurrent) {
      let (one, two) = onOneAndTwoThreads { test.run() }
      #expect(one == two)
    }

    private func isClose(_ a: [Float], _ b: [Double]) -> Bool {
      a.count == b.count && zip(a, b).allSatisfy { abs(Double($0) - $1) < 1e-5 }
    }
  }
}
