@_exported import BackpropTensors
