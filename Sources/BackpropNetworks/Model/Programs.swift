import BackpropTensors

/// The compiled programs of a model, kept between calls. Only touched inside ``Engine/exclusively(_:)``.
final class ProgramCache: @unchecked Sendable {
  enum Purpose: Hashable { case train, test, predict }

  /// What a program was recorded for.
  struct Key: Hashable {
    var purpose: Purpose
    /// Of the arguments: row numbers, or batches.
    var inputs: [TensorType]
    /// The data that the program reads where it lies, and how it is scaled.
    var columns: [ColumnKey] = []
    var classWeights: [Float] = []
    var hasSampleWeights = false
    var labelCount = 0
    /// Set for steps that measure themselves.
    var probe: ObjectIdentifier?
    var guardsGradients = false
  }

  struct ColumnKey: Hashable {
    /// nil where the data comes as an argument.
    var storage: ObjectIdentifier?
    var type: TensorType
    var scale: Float
    var shift: Float

    init(_ column: Column, isCaptured: Bool) {
      storage = isCaptured ? ObjectIdentifier(column.stored.storage()) : nil
      type = column.stored.type
      if !isCaptured { type.shape = [] }
      scale = column.scale
      shift = column.shift
    }
  }

  private static let capacity = 16
  private var programs: [(key: Key, program: Program)] = []
  private var structure: [LayerStructure] = []
  /// ``LayerStructure/changes`` when the structure was looked at last; nil: look at each call.
  private var checkedAt: Int?

  private var outputs: (inputs: [TensorType], types: [TensorType])?

  func removeAll() {
    programs = []
    outputs = nil
  }

  /// What the model gives for inputs of these types; recorded again only when others than last time are asked for.
  func outputTypes(of model: Model, for inputs: [TensorType]) -> [TensorType] {
    if let outputs, outputs.inputs == inputs { return outputs.types }
    let types = model.outputTypes(inputs)
    outputs = (inputs, types)
    return types
  }

  /// Forgets everything when the model's layers, their weights or what is trained have changed since the last call.
  func validate(_ model: Model) {
    let changes = LayerStructure.changes
    if checkedAt == changes { return }
    let structure = LayerStructure.all(of: model)
    if structure != self.structure { removeAll() }
    self.structure = structure
    checkedAt = structure.allSatisfy(\.isFixed) ? changes : nil
  }

  func program(_ key: Key, name: String, _ body: ([Tensor]) -> [Tensor]) -> Program {
    if let position = programs.firstIndex(where: { $0.key == key }) {
      programs.append(programs.remove(at: position))
      return programs.last!.program
    }
    let program = Program.compile(inputs: key.inputs, name: name, body)
    programs.append((key, program))
    if programs.count > Self.capacity { programs.removeFirst() }
    return program
  }

  /// The plan of the largest program for a purpose.
  func plan(_ purpose: Purpose) -> Plan? { largest(purpose)?.plan }

  /// The program for a purpose that does most work: for looking at its kernels.
  func largest(_ purpose: Purpose) -> Program? {
    programs.filter { $0.key.purpose == purpose }.map(\.program).max { $0.plan.flops < $1.plan.flops }
  }
}

extension Model {
  /// Forgets programs that were recorded when other weights were trained.
  func validatePrograms() { programs.validate(self) }

  /// The compiled training step, to look at its kernels and its plan; nil before `fit`.
  package var trainingProgram: Program? { programs.largest(.train) }

  /// What the compiled training step does and needs; nil before `fit`.
  package var trainingPlan: Plan? { Engine.exclusively { programs.plan(.train) } }
}
