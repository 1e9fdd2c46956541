// Operators on whole planes of images in the internal layout: sums, products, activations, joining, means, doubling.
#pragma once
#include <span>

#include "layout/images.h"
#include "support/parallel.h"

namespace pc {

// What is done with the planes of one or two images of the same size. The result may take the place of the first.
struct PlaneWork {
  enum class Kind { activate, sum, product, scale } kind = Kind::activate;
  Activation activation;
  const Isa* isa = nullptr;
};

// y = activation(a), activation(a + b), activation(a * b), or activation(a * b) with one factor b per image and channel.
void run_planewise(const PlaneWork&, const Planes&, size_t images, size_t channels, const float* a, const float* b,
                   float* y, Parallel&);

// The channels of all parts, one after the other.
struct Part {
  const float* data;
  size_t channels;
};
void run_concat(const Planes&, size_t images, std::span<const Part> parts, float* y, Parallel&);

// One mean per image and channel.
void run_means(const Planes&, size_t images, size_t channels, const float* x, float* y, const Isa&, Parallel&);

// Every pixel becomes two by two.
void run_twice(const Planes& x_planes, const Planes& y_planes, size_t images, size_t channels, const float* x, float* y,
               const Isa&, Parallel&);

}  // namespace pc
