/* Four ranks, each with a quadratic of its own: rank i wants x[d] = i + d / DIM, with weight 1 + i. Together they want the
 * weighted mean. mpirun -n 4 example [key=value ...], options of ecl_open() that take the place of those below. */
#include <ecl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 1000, STEPS = 500 };

static void must(int code) {
  if (code == ECL_OK) return;
  fprintf(stderr, "rank %d: %s\n", ecl_rank(), ecl_error());
  ecl_abort(code);
}

/* Whether one of the texts "key=value" is of this one's key. */
static int has_key_of(char **texts, const char *option) {
  const size_t key = strcspn(option, "=") + 1;
  for (; *texts; ++texts)
    if (strncmp(*texts, option, key) == 0) return 1;
  return 0;
}

int main(int argc, char **argv) {
  /* It takes a second: asynchronously one rank may have made its steps before another begins. */
  const char *presets[] = {"topology=ring", "mode=lock-step", "lr=0.1", "total_steps=500", "schedule=linear:0.5"};
  enum { PRESETS = sizeof presets / sizeof *presets };
  const char **options = calloc(argc + PRESETS, sizeof *options); /* all 0: the last of them ends the list */
  if (!options) return EXIT_FAILURE;
  int count = 0;
  for (int i = 0; i < PRESETS; ++i)
    if (!has_key_of(argv + 1, presets[i])) options[count++] = presets[i];
  for (int i = 1; i < argc; ++i) options[count++] = argv[i];

  must(ecl_init());
  const double target = ecl_rank(), weight = 1 + ecl_rank();
  double sum = 0, weights = 0, error = 0, bytes = 0;
  for (int rank = 0; rank < ecl_size(); ++rank) sum += (1.0 + rank) * rank, weights += 1.0 + rank;

  static float x[DIM], gradient[DIM]; /* x: 0 on all ranks */
  ecl_node *node = NULL;
  must(ecl_open(ECL_COMM_WORLD, options, x, DIM, &node));
  free(options);
  for (int step = 0; step < STEPS; ++step) {
    must(ecl_begin(node));
    for (int d = 0; d < DIM; ++d)
      gradient[d] = (float)(weight * (x[d] - target - (double)d / DIM) / weights * ecl_size());
    must(ecl_step(node, gradient));
  }
  must(ecl_settle(node, &error));
  must(ecl_figure(node, "bytes_sent", &bytes));

  double worst = 0;
  for (int d = 0; d < DIM; ++d) worst = fmax(worst, fabs(x[d] - sum / weights - (double)d / DIM));
  printf("rank %d: x = %.9g .. %.9g, off by %.1e, consensus error %.1e, sent %.0f bytes\n", ecl_rank(), x[0], x[DIM - 1],
         worst, error, bytes);
  must(ecl_close(node));
  must(ecl_finalise());
  return worst < 0.05 ? EXIT_SUCCESS : EXIT_FAILURE;
}
