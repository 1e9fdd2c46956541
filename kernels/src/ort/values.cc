#include "ort/values.h"

namespace pc {

int64_t required(const Info& info, const char* attribute) {
  const auto value = info.integer(attribute);
  if (!value) throw Failure(std::string("attribute '") + attribute + "' is missing");
  return *value;
}

bool choice(const Info& info, const char* attribute, const char* no, const char* yes) {
  const std::string value = info.text(attribute, no);
  if (value != no && value != yes) throw Failure(std::string("attribute '") + attribute + "' is neither " + no + " nor " + yes);
  return value == yes;
}

bool flag(const Info& info, const char* attribute, bool otherwise) {
  const int64_t value = info.integer(attribute).value_or(otherwise ? 1 : 0);
  if (value != 0 && value != 1) throw Failure(std::string("attribute '") + attribute + "' is neither 0 nor 1");
  return value == 1;
}

Activation activation(const Info& info) {
  return make_activation(info.text("activation", "None").c_str(), info.number("alpha", 0), info.number("beta", 0));
}

KernelChoice kernel_choice(const Info& info) {
  const KernelChoice forced = kernel_from_environment();
  const std::string value = info.text("kernel", "auto");
  require(value == "auto" || value == "stream" || value == "jit", "attribute 'kernel' is none of auto, stream, jit");
  if (forced != KernelChoice::automatic || value == "auto") return forced;
  return value == "stream" ? KernelChoice::stream : KernelChoice::jit;
}

bool emits_code(KernelChoice choice, const Isa& isa) {
  return choice != KernelChoice::stream && &isa == find_isa("avx512");
}

std::optional<std::array<size_t, 2>> input_size(const Info& info) {
  const auto size = info.integers("input_size");
  if (!size) return std::nullopt;
  require(size->size() == 2 && (*size)[0] >= 1 && (*size)[1] >= 1, "attribute 'input_size' is not [height, width]");
  return std::array{static_cast<size_t>((*size)[0]), static_cast<size_t>((*size)[1])};
}

Tensor required(const Call& call, size_t index) {
  auto tensor = call.input(index);
  require(tensor.has_value(), "an input is missing");
  return *tensor;
}

Images images_of(const Tensor& tensor, bool blocked, size_t channels, bool takes_tile_major) {
  const std::span<const float> floats = tensor.floats();
  const auto extent = [&](size_t axis) { return static_cast<size_t>(tensor.shape[axis]); };
  if (blocked) {
    require(tensor.shape.size() == 2, "an input is not in the internal layout");
    const Header header = read_header(floats.data(), extent(0), extent(1), channels);
    const bool is_tile_major = header.form == static_cast<uint32_t>(Form::tile_major);
    require(takes_tile_major || !is_tile_major, "an input is tile-major, which this operator does not read");
    return {.count = header.images,
            .channels = header.channels,
            .height = header.height,
            .width = header.width,
            .data = floats.data(),
            .is_tile_major = is_tile_major};
  }
  require(tensor.shape.size() == 4, "an input must have the four axes N, C, H, W");
  require(channels == 0 || extent(1) == channels, "an input has another number of channels");
  return {.count = extent(0),
          .channels = extent(1),
          .height = extent(2),
          .width = extent(3),
          .data = floats.data()};
}

float* blocked_output(const Call& call, const Planes& planes, size_t images, size_t channels) {
  const size_t image = planes.image(channels);
  require(image < kMaxFloats && images < UINT32_MAX, "an image is too large");
  const std::array<int64_t, 2> shape{static_cast<int64_t>(std::max<size_t>(images, 1)),
                                     static_cast<int64_t>(images == 0 ? kHeader : image)};
  return call.output(0, shape);
}

float* plain_output(const Call& call, size_t images, size_t channels, size_t height, size_t width) {
  const std::array<int64_t, 4> shape{static_cast<int64_t>(images), static_cast<int64_t>(channels),
                                     static_cast<int64_t>(height), static_cast<int64_t>(width)};
  return call.output(0, shape);
}

}  // namespace pc
