#include "tool/pictures.hpp"

#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <memory>
#include <vector>

namespace edge_runner::tool {
namespace {

// A few bytes can say that they are a picture of gigabytes. Pillow warns above this number, too:
// 256 MiB in RGB. Both formats can have longer sides than this one.
constexpr std::size_t most_pixels = 89'478'485;
constexpr std::size_t longest_side = 65'535;
// libpng keeps comments, each of up to 8 MB once inflated; a picture has no use for them.
constexpr png_uint_32 most_comments = 16;

struct Pixels {
  std::size_t width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> data;
};

bool fits_limit(const Pixels& pixels) {
  return pixels.width <= longest_side && pixels.height <= longest_side &&
         pixels.width * pixels.height <= most_pixels;
}

Error beyond_limit(const Pixels& pixels, const std::string& name) {
  return {Code::bad_input, name + " is a picture of " + std::to_string(pixels.width) + " x " +
                               std::to_string(pixels.height) + " pixels; at most " +
                               std::to_string(most_pixels) + " in all and " +
                               std::to_string(longest_side) +
                               " a side are decoded: make it smaller"};
}

// What libpng reads from, and where it leaves its complaint.
struct PngSource {
  std::span<const std::byte> rest;
  std::string complaint;
};

void read_png(png_structp png, png_bytep to, png_size_t count) {
  auto* source = static_cast<PngSource*>(png_get_io_ptr(png));
  if (count > source->rest.size()) png_error(png, "it is cut short");
  std::memcpy(to, source->rest.data(), count);
  source->rest = source->rest.subspan(count);
}

void on_png_error(png_structp png, png_const_charp message) {
  static_cast<PngSource*>(png_get_error_ptr(png))->complaint = message;
  png_longjmp(png, 1);
}

void on_png_warning(png_structp /*png*/, png_const_charp /*message*/) {}

// Grey or RGB of 8 bits, whatever the file has.
void set_transforms(png_structp png, png_infop info) {
  const auto type = png_get_color_type(png, info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

// Nothing here may need a destructor between setjmp and the last call of libpng.
bool read_png_size(png_structp png, png_infop info, Pixels& pixels) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_cache_max(png, most_comments);
  png_read_info(png, info);
  pixels.width = png_get_image_width(png, info);
  pixels.height = png_get_image_height(png, info);
  return true;
}

// As before.
bool read_png_into(png_structp png, png_infop info, Pixels& pixels,
                   std::vector<png_bytep>& row_starts) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  set_transforms(png, info);
  pixels.channels = png_get_channels(png, info);
  const std::size_t row = png_get_rowbytes(png, info);
  pixels.data.resize(row * pixels.height);
  row_starts.resize(pixels.height);
  for (std::size_t y = 0; y < pixels.height; ++y) row_starts[y] = pixels.data.data() + y * row;
  png_read_image(png, row_starts.data());
  png_read_end(png, nullptr);
  return true;
}

Result<Pixels> decode_png(std::span<const std::byte> file, const std::string& name) {
  PngSource source{file, ""};
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_png_error, on_png_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  if (info == nullptr) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    return Error{Code::out_of_memory, "out of memory"};
  }
  png_set_read_fn(png, &source, read_png);
  Pixels pixels;
  std::vector<png_bytep> row_starts;
  const bool known = read_png_size(png, info, pixels);
  const bool fits = known && fits_limit(pixels);
  const bool read = fits && read_png_into(png, info, pixels, row_starts);
  png_destroy_read_struct(&png, &info, nullptr);
  if (known && !fits) return beyond_limit(pixels, name);
  if (!read) return Error{Code::bad_input, name + " is a damaged PNG: " + source.complaint};
  return pixels;
}

Result<Pixels> decode_jpeg(std::span<const std::byte> file, const std::string& name) {
  const std::unique_ptr<void, int (*)(void*)> decoder(tjInitDecompress(), tjDestroy);
  if (decoder == nullptr) return Error{Code::out_of_memory, "out of memory"};
  const auto* data = reinterpret_cast<const unsigned char*>(file.data());
  const auto bad = [&] {
    return Error{Code::bad_input, name + " is a damaged JPEG: " + tjGetErrorStr2(decoder.get())};
  };
  int width = 0, height = 0, sampling = 0, colours = 0;
  if (tjDecompressHeader3(decoder.get(), data, file.size(), &width, &height, &sampling, &colours) !=
      0) {
    return bad();
  }
  const bool grey = colours == TJCS_GRAY;
  Pixels pixels{static_cast<std::size_t>(width),
                static_cast<std::size_t>(height),
                grey ? std::size_t{1} : std::size_t{3},
                {}};
  if (!fits_limit(pixels)) return beyond_limit(pixels, name);
  pixels.data.resize(pixels.width * pixels.height * pixels.channels);
  if (tjDecompress2(decoder.get(), data, file.size(), pixels.data.data(), width, 0, height,
                    grey ? TJPF_GRAY : TJPF_RGB, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0) {
    return bad();
  }
  return pixels;
}

std::uint8_t luma(const std::uint8_t* rgb) {
  // 16-bit fractions of the ITU-R 601 weights, rounded.
  const std::uint32_t sum = rgb[0] * 19595U + rgb[1] * 38470U + rgb[2] * 7471U + 0x8000U;
  return static_cast<std::uint8_t>(sum >> 16);
}

Pixels with_channels(Pixels pixels, std::size_t channels) {
  if (pixels.channels == channels) return pixels;
  const std::size_t count = pixels.width * pixels.height;
  std::vector<std::uint8_t> data(count * channels);
  for (std::size_t i = 0; i < count; ++i) {
    if (channels == 1) {
      data[i] = luma(pixels.data.data() + 3 * i);
    } else {
      std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, pixels.data[i]);
    }
  }
  return {pixels.width, pixels.height, channels, std::move(data)};
}

}  // namespace

Result<Tensor> decode_picture(std::span<const std::byte> file, std::int64_t channels,
                              const std::string& name) {
  if (channels != 1 && channels != 3) {
    return Error{Code::bad_input, name + ": pictures have 1 or 3 channels, the model takes " +
                                      std::to_string(channels)};
  }
  const bool is_png =
      file.size() >= 8 && png_sig_cmp(reinterpret_cast<png_const_bytep>(file.data()), 0, 8) == 0;
  auto pixels = is_png ? decode_png(file, name) : decode_jpeg(file, name);
  if (!pixels) return pixels.error();
  const Pixels fitting = with_channels(*std::move(pixels), static_cast<std::size_t>(channels));
  const Shape shape = {1, static_cast<std::int64_t>(fitting.height),
                       static_cast<std::int64_t>(fitting.width), channels};
  return Tensor::of<std::uint8_t>(shape, fitting.data);
}

}  // namespace edge_runner::tool
