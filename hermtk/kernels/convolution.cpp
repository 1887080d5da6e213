// The relational convolution and its derivatives on CPU; the mathematics stands in convolution.py.
//
// Channels are independent of each other, so the work is cut into blocks of B channels: a block's rows stay in the cache, and
// threads take blocks. Edges come sorted by relation and go four at a time through the filter, so that a relation's weights are
// read once for four edges. Entries of a path that share their input are a run: what depends on the input alone is computed once
// for all of them. Nothing of the size edges x channels is ever written to memory.

#include <algorithm>
#include <cstdint>
#include <vector>

// The letters are those of convolution.py, the layout that of its _Problem; a pointer is null where a comment says so.
template <class T>
struct Problem {
  int64_t edges, graph_edges, sources, atoms, rows;  // sources -1 without phi
  int64_t relations, channels, paths, radials, inputs, angulars, outputs, entries, threads;
  const int32_t* table;                       // [entries, 2] by path, by input: angular, output
  const double* coefficients;                 // [entries]
  const int32_t* runs;                        // [runs, 2]: input (-1: the filter alone), where its entries end
  const int32_t* path_ends;                   // [paths]: where the runs of each path end
  const int64_t *edge, *source, *atom, *row;  // [edges]
  const int32_t* ends;                        // [relations]
  const T *x, *phi, *rho, *w, *y;             // values; phi null for one
  const T* g;                                 // gradient of the output; null in the forward pass
  const T *tx, *tphi, *trho, *tw, *ty;        // tangents, in the second derivative only; tphi and tw null for zero
  T *out, *gx, *gphi, *grho, *gw, *gy;        // results, zeroed by the caller; gw null where nobody wants it
};

namespace {

constexpr int GROUP = 4;  // edges that share one read of the filter's weights

// L numbers as one vector of the processor; anywhere in memory
template <class T, int L>
struct Lanes {
  typedef T V __attribute__((vector_size(L * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <class T, int B>
struct Block {
  static constexpr int WIDEST = 64 / sizeof(T);
  static constexpr int L = B < WIDEST ? B : WIDEST;  // lanes
  static constexpr int N = B / L;                    // vectors of a block
  using V = typename Lanes<T, L>::V;
  static const V* at(const T* p) { return reinterpret_cast<const V*>(p); }
  static V* at(T* p) { return reinterpret_cast<V*>(p); }
  static T sum(const V& v) {
    T total = 0;
    for (int l = 0; l < L; ++l) total += v[l];
    return total;
  }
};

// up to GROUP edges of one relation
struct Group {
  const int64_t* edge;
  int count;
};

// f[e][path] (+)= sum_n rho[edge e][n] w[n][path], a block of channels from `first`
template <class T, int B, int COUNT, bool ADD>
inline void filter_some(const Problem<T>& p, const T* rho, const T* w, const int64_t* edge, int first, T* f) {
  using K = Block<T, B>;
  using V = typename K::V;
  const int64_t stride = p.paths * p.channels;
  const T* r[COUNT];
  for (int e = 0; e < COUNT; ++e) r[e] = rho + edge[e] * p.radials;
  for (int64_t path = 0; path < p.paths; ++path) {
    V sums[COUNT][K::N];
#pragma GCC unroll 4
    for (int e = 0; e < COUNT; ++e)
#pragma GCC unroll 8
      for (int v = 0; v < K::N; ++v) sums[e][v] = ADD ? K::at(f + (e * p.paths + path) * B)[v] : V{};
    const T* column = w + path * p.channels + first;
    for (int64_t n = 0; n < p.radials; ++n, column += stride) {
#pragma GCC unroll 8
      for (int v = 0; v < K::N; ++v) {
        const V value = K::at(column)[v];
#pragma GCC unroll 4
        for (int e = 0; e < COUNT; ++e) sums[e][v] += r[e][n] * value;
      }
    }
#pragma GCC unroll 4
    for (int e = 0; e < COUNT; ++e)
#pragma GCC unroll 8
      for (int v = 0; v < K::N; ++v) K::at(f + (e * p.paths + path) * B)[v] = sums[e][v];
  }
}

template <class T, int B, bool ADD = false>
inline void filter(const Problem<T>& p, const T* rho, const T* w, const Group& group, int first, T* f) {
  if (group.count == GROUP) return filter_some<T, B, GROUP, ADD>(p, rho, w, group.edge, first, f);
  for (int e = 0; e < group.count; ++e)
    filter_some<T, B, 1, ADD>(p, rho, w, group.edge + e, first, f + e * p.paths * B);
}

// radial[edge e][n] += <w[n], gf[e]>
template <class T, int B, int COUNT>
inline void radial_some(const Problem<T>& p, const T* w, const int64_t* edge, int first, const T* gf, T* radial) {
  using K = Block<T, B>;
  using V = typename K::V;
  for (int64_t n = 0; n < p.radials; ++n) {
    V sums[COUNT] = {};
    const T* row = w + n * p.paths * p.channels + first;
    for (int64_t path = 0; path < p.paths; ++path, row += p.channels)
#pragma GCC unroll 8
      for (int v = 0; v < K::N; ++v) {
        const V value = K::at(row)[v];
#pragma GCC unroll 4
        for (int e = 0; e < COUNT; ++e) sums[e] += value * K::at(gf + (e * p.paths + path) * B)[v];
      }
    for (int e = 0; e < COUNT; ++e) radial[edge[e] * p.radials + n] += K::sum(sums[e]);
  }
}

// gw[n] += sum_e rho[edge e][n] gf[e]
template <class T, int B, int COUNT>
inline void weight_some(const Problem<T>& p, const T* rho, const int64_t* edge, int first, const T* gf, T* gw) {
  using K = Block<T, B>;
  using V = typename K::V;
  const int64_t stride = p.paths * p.channels;
  for (int64_t path = 0; path < p.paths; ++path)
#pragma GCC unroll 8
    for (int v = 0; v < K::N; ++v) {
      V g[COUNT];
#pragma GCC unroll 4
      for (int e = 0; e < COUNT; ++e) g[e] = K::at(gf + (e * p.paths + path) * B)[v];
      T* column = gw + path * p.channels + first;
      for (int64_t n = 0; n < p.radials; ++n, column += stride) {
        V change = K::at(column)[v];
#pragma GCC unroll 4
        for (int e = 0; e < COUNT; ++e) change += rho[edge[e] * p.radials + n] * g[e];
        K::at(column)[v] = change;
      }
    }
}

template <class T, int B>
inline void radial_backward(const Problem<T>& p, const T* w, const Group& group, int first, const T* gf, T* radial) {
  if (group.count == GROUP) return radial_some<T, B, GROUP>(p, w, group.edge, first, gf, radial);
  for (int e = 0; e < group.count; ++e)
    radial_some<T, B, 1>(p, w, group.edge + e, first, gf + e * p.paths * B, radial);
}

template <class T, int B>
inline void weight_backward(const Problem<T>& p, const T* rho, const Group& group, int first, const T* gf, T* gw) {
  if (group.count == GROUP) return weight_some<T, B, GROUP>(p, rho, group.edge, first, gf, gw);
  for (int e = 0; e < group.count; ++e) weight_some<T, B, 1>(p, rho, group.edge + e, first, gf + e * p.paths * B, gw);
}

// calls each(relation, group, first edge) for all edges in order
template <class T, class F>
inline void over_groups(const Problem<T>& p, F each) {
  for (int64_t r = 0, start = 0; r < p.relations; start = p.ends[r], ++r)
    for (int64_t k = start; k < p.ends[r]; k += GROUP)
      each(r, Group{p.edge + k, int(p.ends[r] - k < GROUP ? p.ends[r] - k : GROUP)}, k);
}

template <class T, int B>
void forward_block(const Problem<T>& p, int first, T*, T*) {
  using K = Block<T, B>;
  using V = typename K::V;
  std::vector<T> f(GROUP * p.paths * B), s(p.entries);
  const std::vector<T> c(p.coefficients, p.coefficients + p.entries);
  const int64_t size = p.radials * p.paths * p.channels, C = p.channels;
  over_groups(p, [&](int64_t r, const Group& group, int64_t k) {
    // in registers: for all the compiler knows, results overlap with the problem
    const int32_t *table = p.table, *runs = p.runs, *path_ends = p.path_ends;
    filter<T, B>(p, p.rho, p.w + r * size, group, first, f.data());
    for (int e = 0; e < group.count; ++e, ++k) {
      const T* y = p.y + p.edge[k] * p.angulars;
      const T* x = p.x + p.atom[k] * p.inputs * C + first;
      const T* phi = p.phi ? p.phi + p.source[k] * p.paths * C + first : nullptr;
      T* out = p.out + p.row[k] * p.outputs * C + first;
      for (int64_t i = 0; i < p.entries; ++i) s[i] = c[i] * y[table[2 * i]];
      int64_t i = 0, run = 0;
      for (int64_t path = 0; path < p.paths; ++path) {
        V w[K::N];
#pragma GCC unroll 8
        for (int v = 0; v < K::N; ++v) {
          w[v] = K::at(f.data() + (e * p.paths + path) * B)[v];
          if (phi) w[v] *= K::at(phi + path * C)[v];
        }
        for (; run < path_ends[path]; ++run) {
          const int32_t in = runs[2 * run], end = runs[2 * run + 1];
          V sent[K::N];
#pragma GCC unroll 8
          for (int v = 0; v < K::N; ++v) sent[v] = in < 0 ? w[v] : K::at(x + in * C)[v] * w[v];
          for (; i < end; ++i) {
            V* o = K::at(out + table[2 * i + 1] * C);
#pragma GCC unroll 8
            for (int v = 0; v < K::N; ++v) o[v] += s[i] * sent[v];
          }
        }
      }
    }
  });
}

template <class T, int B>
void backward_block(const Problem<T>& p, int first, T* radial, T* angular) {
  using K = Block<T, B>;
  using V = typename K::V;
  std::vector<T> f(GROUP * p.paths * B), gf(GROUP * p.paths * B), s(p.entries), ysum(p.angulars * K::L);
  const std::vector<T> c(p.coefficients, p.coefficients + p.entries);
  const int64_t size = p.radials * p.paths * p.channels, C = p.channels;
  over_groups(p, [&](int64_t r, const Group& group, int64_t k) {
    // in registers: for all the compiler knows, results overlap with the problem
    const int32_t *table = p.table, *runs = p.runs, *path_ends = p.path_ends;
    filter<T, B>(p, p.rho, p.w + r * size, group, first, f.data());
    for (int e = 0; e < group.count; ++e, ++k) {
      const T* y = p.y + p.edge[k] * p.angulars;
      const int64_t at = p.atom[k] * p.inputs * C + first, from = p.source[k] * p.paths * C + first;
      const T* g = p.g + p.row[k] * p.outputs * C + first;
      for (int64_t i = 0; i < p.entries; ++i) s[i] = c[i] * y[table[2 * i]];
      std::fill(ysum.begin(), ysum.end(), T(0));
      int64_t start = 0;
      for (int64_t path = 0; path < p.paths; start = path_ends[path], ++path) {
        const int64_t place = (e * p.paths + path) * B;
#pragma GCC unroll 8
        for (int v = 0; v < K::N; ++v) {
          const V fv = K::at(f.data() + place)[v];
          const V phi = p.phi ? K::at(p.phi + from + path * C)[v] : V{} + T(1);
          const V w = phi * fv;
          V gw = {};
          for (int64_t run = start; run < path_ends[path]; ++run) {
            const int32_t in = runs[2 * run];
            const V x = in < 0 ? V{} + T(1) : K::at(p.x + at + in * C)[v], xw = x * w;
            V back = {};
            for (int32_t i = run ? runs[2 * run - 1] : 0; i < runs[2 * run + 1]; ++i) {
              const V go = K::at(g + table[2 * i + 1] * C)[v];
              back += s[i] * go;
              K::at(ysum.data() + table[2 * i] * K::L)[0] += c[i] * go * xw;
            }
            gw += back * x;
            if (in >= 0) K::at(p.gx + at + in * C)[v] += back * w;
          }
          if (p.phi) K::at(p.gphi + from + path * C)[v] += gw * fv;
          K::at(gf.data() + place)[v] = gw * phi;
        }
      }
      for (int64_t m = 0; m < p.angulars; ++m)
        angular[p.edge[k] * p.angulars + m] += K::sum(K::at(ysum.data() + m * K::L)[0]);
    }
    radial_backward<T, B>(p, p.w + r * size, group, first, gf.data(), radial);
    if (p.gw) weight_backward<T, B>(p, p.rho, group, first, gf.data(), p.gw + r * size);
  });
}

// S = <gradients of the backward pass, tangents>: its derivatives by the output's gradient and by all values
template <class T, int B>
void second_block(const Problem<T>& p, int first, T* radial, T* angular) {
  using K = Block<T, B>;
  using V = typename K::V;
  const int64_t room = GROUP * p.paths * B;
  std::vector<T> f(room), tf(room), gf(room), gtf(room), s(p.entries), ts(p.entries), ysum(p.angulars * K::L);
  const std::vector<T> c(p.coefficients, p.coefficients + p.entries);
  const int64_t size = p.radials * p.paths * p.channels, C = p.channels;
  over_groups(p, [&](int64_t r, const Group& group, int64_t k) {
    // in registers: for all the compiler knows, results overlap with the problem
    const int32_t *table = p.table, *runs = p.runs, *path_ends = p.path_ends;
    const T *w0 = p.w + r * size, *tw0 = p.tw ? p.tw + r * size : nullptr;
    filter<T, B>(p, p.rho, w0, group, first, f.data());
    filter<T, B>(p, p.trho, w0, group, first, tf.data());
    if (tw0) filter<T, B, true>(p, p.rho, tw0, group, first, tf.data());
    for (int e = 0; e < group.count; ++e, ++k) {
      const T *y = p.y + p.edge[k] * p.angulars, *ty = p.ty + p.edge[k] * p.angulars;
      const int64_t at = p.atom[k] * p.inputs * C + first, from = p.source[k] * p.paths * C + first;
      const int64_t to = p.row[k] * p.outputs * C + first;
      for (int64_t i = 0; i < p.entries; ++i) {
        s[i] = c[i] * y[table[2 * i]];
        ts[i] = c[i] * ty[table[2 * i]];
      }
      std::fill(ysum.begin(), ysum.end(), T(0));
      int64_t start = 0;
      for (int64_t path = 0; path < p.paths; start = path_ends[path], ++path) {
        const int64_t place = (e * p.paths + path) * B;
#pragma GCC unroll 8
        for (int v = 0; v < K::N; ++v) {
          const V fv = K::at(f.data() + place)[v], tfv = K::at(tf.data() + place)[v];
          const V phi = p.phi ? K::at(p.phi + from + path * C)[v] : V{} + T(1);
          const V tphi = p.tphi ? K::at(p.tphi + from + path * C)[v] : V{};
          const V w = phi * fv, tw = tphi * fv + phi * tfv;
          V one = {}, two = {};  // dS/dw and dS/dw'
          for (int64_t run = start; run < path_ends[path]; ++run) {
            const int32_t in = runs[2 * run];
            const V x = in < 0 ? V{} + T(1) : K::at(p.x + at + in * C)[v];
            const V tx = in < 0 ? V{} : K::at(p.tx + at + in * C)[v];
            const V xw = x * w, txw = tx * w + x * tw;
            V back = {}, tback = {};
            for (int32_t i = run ? runs[2 * run - 1] : 0; i < runs[2 * run + 1]; ++i) {
              const int64_t o = to + table[2 * i + 1] * C;
              const V go = K::at(p.g + o)[v];
              K::at(p.out + o)[v] += s[i] * txw + ts[i] * xw;
              K::at(ysum.data() + table[2 * i] * K::L)[0] += c[i] * go * txw;
              back += s[i] * go;
              tback += ts[i] * go;
            }
            one += back * tx + tback * x;
            two += back * x;
            if (in >= 0) K::at(p.gx + at + in * C)[v] += back * tw + tback * w;
          }
          if (p.phi) K::at(p.gphi + from + path * C)[v] += one * fv + two * tfv;
          K::at(gf.data() + place)[v] = one * phi + two * tphi;
          K::at(gtf.data() + place)[v] = two * phi;
        }
      }
      for (int64_t m = 0; m < p.angulars; ++m)
        angular[p.edge[k] * p.angulars + m] += K::sum(K::at(ysum.data() + m * K::L)[0]);
    }
    radial_backward<T, B>(p, w0, group, first, gf.data(), radial);
    if (tw0) radial_backward<T, B>(p, tw0, group, first, gtf.data(), radial);
    weight_backward<T, B>(p, p.rho, group, first, gf.data(), p.gw + r * size);
    weight_backward<T, B>(p, p.trho, group, first, gtf.data(), p.gw + r * size);
  });
}

template <class T>
using Pass = void (*)(const Problem<T>&, int, T*, T*);

// blocks of channels over threads; radial and angular sums run over all channels, so each thread has its own
template <class T>
void run(const Problem<T>& p, Pass<T> pass, int block) {
  const int blocks = int(p.channels / block);
  const int threads = int(p.threads < blocks ? p.threads : blocks);
  if (threads <= 1) {
    for (int b = 0; b < blocks; ++b) pass(p, b * block, p.grho, p.gy);
    return;
  }
  const int64_t radials = p.grho ? p.graph_edges * p.radials : 0, angulars = p.gy ? p.graph_edges * p.angulars : 0;
  std::vector<std::vector<T>> own(threads);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static, 1)
    for (int t = 0; t < threads; ++t) {
      own[t].assign(radials + angulars, T(0));
      for (int b = t; b < blocks; b += threads) pass(p, b * block, own[t].data(), own[t].data() + radials);
    }
  }
  for (int t = 0; t < threads; ++t) {
    for (int64_t i = 0; i < radials; ++i) p.grho[i] += own[t][i];
    for (int64_t i = 0; i < angulars; ++i) p.gy[i] += own[t][radials + i];
  }
}

bool within(const int64_t* index, int64_t count, int64_t size) {
  int64_t least = 0, most = -1;
  for (int64_t k = 0; k < count; ++k) {
    least = std::min(least, index[k]);
    most = std::max(most, index[k]);
  }
  return least >= 0 && most < size;
}

// whether every index is one of a row that is there, and the relations' ends lead to the last edge
template <class T>
bool sound(const Problem<T>& p) {
  int64_t start = 0;
  for (int64_t r = 0; r < p.relations; start = p.ends[r], ++r)
    if (p.ends[r] < start) return false;
  return start == p.edges && within(p.edge, p.edges, p.graph_edges) && within(p.atom, p.edges, p.atoms) &&
         within(p.row, p.edges, p.rows) && (p.sources < 0 || within(p.source, p.edges, p.sources));
}

// the widest block that leaves work for every thread, but no narrower than a vector if the channels, a multiple of 8, allow it;
// 0 if all is well
template <class T, template <class, int> class Choice>
int dispatch(const Problem<T>& p) {
  if (!sound(p)) return 1;
  const int64_t share = p.threads > 1 ? (p.channels + p.threads - 1) / p.threads : p.channels;
  const int64_t widest = std::max(share, int64_t(64 / sizeof(T)));
  const auto fits = [&](int block) { return p.channels % block == 0 && block <= widest; };
  if (fits(64)) run<T>(p, Choice<T, 64>::pass, 64);
  else if (fits(32)) run<T>(p, Choice<T, 32>::pass, 32);
  else if (fits(16)) run<T>(p, Choice<T, 16>::pass, 16);
  else run<T>(p, Choice<T, 8>::pass, 8);
  return 0;
}

template <class T, int B> struct Forward { static constexpr Pass<T> pass = forward_block<T, B>; };
template <class T, int B> struct Backward { static constexpr Pass<T> pass = backward_block<T, B>; };
template <class T, int B> struct Second { static constexpr Pass<T> pass = second_block<T, B>; };

}  // namespace

extern "C" {
int forward_float(const Problem<float>* p) { return dispatch<float, Forward>(*p); }
int forward_double(const Problem<double>* p) { return dispatch<double, Forward>(*p); }
int backward_float(const Problem<float>* p) { return dispatch<float, Backward>(*p); }
int backward_double(const Problem<double>* p) { return dispatch<double, Backward>(*p); }
int second_float(const Problem<float>* p) { return dispatch<float, Second>(*p); }
int second_double(const Problem<double>* p) { return dispatch<double, Second>(*p); }
}
