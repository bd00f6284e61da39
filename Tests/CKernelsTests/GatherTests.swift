import CKernels
import Testing

extension Kernels {
  @Suite struct Gathers {
    @Test("rows of bytes, scaled, by both index types", arguments: [(64, 784), (3, 5), (1, 1), (500, 300)])
    func bytes(count: Int, row: Int) {
      let rows = 90
      let src = Memory((0..<rows * row).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 / 251) })
      let indices = (0..<count).map { ($0 * 53 + 7) % rows }
      let wide = Memory(indices.map(Int64.init)), narrow = Memory(indices.map(Int32.init))
      forEachInstructionSet { set in
        for isWide in [true, false] {
          let (one, two) = onOneAndTwoThreads {
            let dst = Memory<Float>(repeating: -1, count: count * row)
            var failed: Int64 = -1
            let index = isWide ? UnsafeRawPointer(wide.pointer) : UnsafeRawPointer(narrow.pointer)
            withUnsafeMutablePointer(to: &failed) {
              var gather = ck_gather(
                dst: dst.pointer, src: src.pointer, index: index, dst_dtype: Int32(CK_F32.rawValue),
                src_dtype: Int32(CK_U8.rawValue), index_dtype: Int32((isWide ? CK_I64 : CK_I32).rawValue),
                count: Int64(count), row: Int64(row), src_rows: Int64(rows), scale: 1 / 255, shift: -0.5,
                in_parts: false,
                failed: $0)
              ck_gather_run(&gather)
            }
            keep(src, wide, narrow)
            #expect(failed == -1 && dst.isIntact)
            return dst.values
          }
          #expect(one == two)
          for i in 0..<count {
            for k in 0..<row {
              let expected = Double(src.pointer[indices[i] * row + k]) / 255 - 0.5
              #expect(abs(Double(one[i * row + k]) - expected) < 1e-6, "\(set), row \(i)")
            }
          }
        }
      }
    }

    @Test("into parts", arguments: [(64, 784), (130, 2000), (3, 5)])
    func parts(count: Int, row: Int) {
      let rows = 70
      let src = Memory((0..<rows * row).map { UInt8(truncatingIfNeeded: $0 &* 29 &+ $0 / 241) })
      let indices = (0..<count).map { ($0 * 31 + 5) % rows }
      let index = Memory(indices.map(Int32.init))
      let expected = indices.flatMap { i in (0..<row).map { Float(src.pointer[i * row + $0]) } }
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let dst = Memory<Float>(repeating: -1, count: count * row)
          var gather = ck_gather(
            dst: dst.pointer, src: src.pointer, index: index.pointer, dst_dtype: Int32(CK_F32.rawValue),
            src_dtype: Int32(CK_U8.rawValue), index_dtype: Int32(CK_I32.rawValue), count: Int64(count),
            row: Int64(row), src_rows: Int64(rows), scale: 1, shift: 0, in_parts: true, failed: nil)
          ck_gather_run(&gather)
          keep(src, index)
          #expect(dst.isIntact)
          return dst.values
        }
        #expect(one == two && one == parted(expected, rows: count, columns: row), "\(set)")
      }
    }

    @Test("an index out of range is reported and leaves zeros", arguments: [Int64(-1), 4, .max, .min])
    func outOfRange(bad: Int64) {
      let src = Memory<Float>([1, 2, 3, 4, 5, 6, 7, 8]), dst = Memory<Float>(repeating: 9, count: 6)
      let index = Memory<Int64>([3, bad, 0])
      var failed: Int64 = -1
      withUnsafeMutablePointer(to: &failed) {
        var gather = ck_gather(
          dst: dst.pointer, src: src.pointer, index: index.pointer, dst_dtype: Int32(CK_F32.rawValue),
          src_dtype: Int32(CK_F32.rawValue), index_dtype: Int32(CK_I64.rawValue), count: 3, row: 2,
          src_rows: 4,
          scale: 1, shift: 0, in_parts: false, failed: $0)
        ck_gather_run(&gather)
      }
      keep(src, index)
      #expect(failed == 1)
      #expect(dst.values == [7, 8, 0, 0, 1, 2] && dst.isIntact)
    }

    @Test("of many indices out of range, the first is reported") func firstOutOfRange() {
      let count = 3000, row = 40
      let src = Memory<Float>(repeating: 1, count: 10 * row)
      var indices = Array(repeating: Int32(5), count: count)
      for bad in [900, 901, 1500, 2999] { indices[bad] = bad % 2 == 0 ? 10 : -3 }
      let index = Memory(indices)
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let dst = Memory<Float>(repeating: 9, count: count * row)
          var failed: Int64 = -1
          withUnsafeMutablePointer(to: &failed) {
            var gather = ck_gather(
              dst: dst.pointer, src: src.pointer, index: index.pointer, dst_dtype: Int32(CK_F32.rawValue),
              src_dtype: Int32(CK_F32.rawValue), index_dtype: Int32(CK_I32.rawValue), count: Int64(count),
              row: Int64(row), src_rows: 10, scale: 1, shift: 0, in_parts: false, failed: $0)
            ck_gather_run(&gather)
          }
          keep(src, index)
          let zeros = (0..<count).filter { dst.pointer[$0 * row] == 0 }
          #expect(zeros == [900, 901, 1500, 2999], "\(set)")
          return failed
        }
        #expect(one == 900 && two == 900, "\(set)")
      }
    }

    // The last two are cut along the destination's rows.
    @Test(
      "scatter-add adds in order, and only where it may",
      arguments: [(50, 7, 13), (2000, 96, 13), (1, 1, 13), (300, 40, 7000), (9000, 130, 2100)])
    func scatter(count: Int, row: Int, rows: Int) {
      var numbers = Numbers(seed: 4)
      let src = Memory(numbers.take(count * row)), start = numbers.take(rows * row)
      let indices = (0..<count).map { Int32($0 * 29 % (rows + 2)) - 1 }  // −1 and 13 are outside
      let index = Memory(indices)
      forEachInstructionSet { set in
        for zero in [true, false] {
          var expected = zero ? Array(repeating: 0, count: rows * row) : start
          for i in 0..<count where indices[i] >= 0 && indices[i] < rows {
            for k in 0..<row { expected[Int(indices[i]) * row + k] += src.pointer[i * row + k] }
          }
          let (one, two) = onOneAndTwoThreads {
            let dst = Memory(start)
            var scatter = ck_scatter_add(
              dst: dst.pointer, src: src.pointer, index: index.pointer, index_dtype: Int32(CK_I32.rawValue),
              count: Int64(count), row: Int64(row), dst_rows: Int64(rows), zero: zero)
            ck_scatter_add_run(&scatter)
            keep(src, index)
            #expect(dst.isIntact)
            return dst.values
          }
          #expect(one == expected && two == expected, "\(set), zero: \(zero)")
        }
      }
    }
  }
}
