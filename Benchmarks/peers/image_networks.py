"""The networks over images: Keras' example for MNIST and ResNet-20 (He et al., 2016), for Keras and for PyTorch."""


def convnet(keras):
    L = keras.layers
    return keras.Sequential([
        keras.Input((28, 28, 1)), L.Conv2D(32, 3, activation="relu"), L.MaxPooling2D(2),
        L.Conv2D(64, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dropout(0.5),
        L.Dense(10, activation="softmax")])


def convnet_torch():
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(1600, 10))


WIDTHS = (16, 32, 64)  # three blocks of each; the first of the second and third width halves the image


def resnet20(keras):
    L = keras.layers

    def convolution(x, width, size, stride=1):
        x = L.Conv2D(width, size, stride, padding="same", use_bias=False)(x)
        return L.BatchNormalization()(x)

    image = keras.Input((32, 32, 3))
    x = L.ReLU()(convolution(image, 16, 3))
    for stage, width in enumerate(WIDTHS):
        for number in range(3):
            stride = 2 if stage and number == 0 else 1
            y = convolution(L.ReLU()(convolution(x, width, 3, stride)), width, 3)
            x = L.ReLU()(L.Add()([y, convolution(x, width, 1, stride) if stride > 1 else x]))
    return keras.Model(image, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def resnet20_torch():
    from torch import nn

    def convolution(channels, width, size, stride=1):
        return nn.Sequential(
            nn.Conv2d(channels, width, size, stride, size // 2, bias=False), nn.BatchNorm2d(width))

    class Block(nn.Module):
        def __init__(self, channels, width, stride):
            super().__init__()
            self.first, self.second = convolution(channels, width, 3, stride), convolution(width, width, 3)
            self.shortcut = convolution(channels, width, 1, stride) if stride > 1 else nn.Identity()

        def forward(self, x):
            return nn.functional.relu(self.second(nn.functional.relu(self.first(x))) + self.shortcut(x))

    layers, channels = [convolution(3, 16, 3), nn.ReLU()], 16
    for stage, width in enumerate(WIDTHS):
        for number in range(3):
            layers.append(Block(channels, width, 2 if stage and number == 0 else 1))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
