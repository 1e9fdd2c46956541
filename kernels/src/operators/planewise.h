// Operators on whole planes of blocked images: Add, Mul, Scale, Activate, Concat,
// GlobalAveragePool, Upsample; and copies from the tile-major form.
#pragma once
#include <span>

#include "layout/images.h"
#include "support/parallel.h"

namespace pc {

// An elementwise operator on one or two images of the same size.
struct PlaneWork {
  enum class Kind { activate, sum, product, scale } kind = Kind::activate;
  Activation activation;
  const Isa* isa = nullptr;
};

// y = activation(a), activation(a + b), activation(a * b), or activation(a * b) with one factor b
// per image and channel. y may be a.
void run_planewise(const PlaneWork&, const Planes&, size_t images, size_t channels, const float* a, const float* b,
                   float* y, Parallel&);

// Concatenates the channels of all parts.
struct Part {
  const float* data;
  size_t channels;
};
void run_concat(const Planes&, size_t images, std::span<const Part> parts, float* y, Parallel&);

// Computes one mean per image and channel.
void run_global_average(const Planes&, size_t images, size_t channels, const float* x, float* y, const Isa&, Parallel&);

// Copies tile-major images to planes in `to`, and returns that.
const float* in_planes(const Planes&, size_t images, size_t channels, const float* tile_major, float* to, Parallel&);

// Repeats every pixel two by two.
void run_upsample(const Planes& x_planes, const Planes& y_planes, size_t images, size_t channels, const float* x,
                  float* y, const Isa&, Parallel&);

}  // namespace pc
