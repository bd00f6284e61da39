import CKernels
import Foundation
import Testing

/// Written by one thread, read by another after it.
private final class Elsewhere: @unchecked Sendable { var instructionSet = "" }

private final class Log { var ranges: [(Int64, Int64)] = [] }

extension Kernels {
  @Suite struct Threads {
    @Test(
      "pieces are cut by size and each runs once",
      arguments: [(0, 5), (1, 5), (5, 5), (6, 5), (1000, 7), (3, 0)])
    func pieces(count: Int, grain: Int) {
      let (one, two) = onOneAndTwoThreads {
        let owners = Memory<Int64>(repeating: 0, count: count)
        ck_parallel_for(
          Int64(count), Int64(grain),
          { context, begin, end in
            let owners = context!.assumingMemoryBound(to: Int64.self)
            for i in begin..<end { owners[Int(i)] += 1_000_000 * (begin + 1) + end }
          }, owners.pointer)
        #expect(owners.isIntact)
        return owners.values
      }
      let size = max(grain, 1)
      let expected = (0..<count).map { i -> Int64 in
        let begin = i / size * size
        return Int64(1_000_000 * (begin + 1) + min(begin + size, count))
      }
      #expect(one == expected && two == expected)
    }

    @Test("calls run in order") func calls() {
      let log = Log()
      struct Context {
        var log: Unmanaged<Log>
        var number: Int64
      }
      var contexts = (0..<5).map { Context(log: .passUnretained(log), number: $0) }
      contexts.withUnsafeMutableBufferPointer { buffer in
        let calls = buffer.indices.map { i in
          ck_call(
            run: {
              let context = $0!.assumingMemoryBound(to: Context.self).pointee
              context.log.takeUnretainedValue().ranges.append((context.number, 0))
            }, context: buffer.baseAddress! + i)
        }
        ck_run(calls, Int64(calls.count))
      }
      #expect(log.ranges.map(\.0) == [0, 1, 2, 3, 4])
    }

    @Test("a thread's choice of instruction set is its own") func instructionSetOfAThread() {
      forEachInstructionSet { name in
        #expect(String(cString: ck_instruction_set()) == name)
        let (elsewhere, done) = (Elsewhere(), DispatchSemaphore(value: 0))
        Thread.detachNewThread {
          elsewhere.instructionSet = String(cString: ck_instruction_set())
          done.signal()
        }
        done.wait()
        #expect(elsewhere.instructionSet == instructionSets[0])
      }
    }

    @Test("an unknown instruction set changes nothing") func instructionSet() {
      let before = String(cString: ck_instruction_set())
      #expect(!ck_set_instruction_set("sse9"))
      #expect(String(cString: ck_instruction_set()) == before)
      #expect(instructionSets.contains(before) && instructionSets.contains("default"))
    }
  }
}
