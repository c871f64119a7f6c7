/* ecl from C, and from any language that calls C: decentralised training by edge-consensus learning over MPI.
 *
 * Each rank holds its own data and a model of d floats, and owns the training loop. It hands over its gradients; ecl
 * makes the steps and exchanges messages with the rank's neighbours in a graph, until all agree on one model:
 *
 *     ecl_node *node;
 *     ecl_init();
 *     ecl_open(ECL_COMM_WORLD, (const char *[]){"topology=ring", "lr=0.1", NULL}, x, d, &node);
 *     for (...) {
 *       ecl_begin(node);          // takes what the neighbours sent, which may move x
 *       my_gradient(x, gradient); // of this rank's own data, at x
 *       ecl_step(node, gradient); // moves x, sends
 *     }
 *     ecl_settle(node, &error);   // until the ranks agree
 *     ecl_close(node);
 *     ecl_finalise();
 *
 * Functions that can fail return a code below; ecl_error() then has one line: what is wrong, where, what to do. After
 * ECL_RANK_LOST or ECL_INTERNAL in a node's calls all other ranks' next calls fail too, and name this one, and so do all
 * later calls of this rank; after other errors it may go on. ecl_abort() ends them all at once.
 * "Collective": all ranks of the communicator call it, in the same order. All calls of a process are made by one thread,
 * the one that calls ecl_init(); a process that is forked off makes none. Nobody waits where nothing is said of waiting. */
#ifndef ECL_H
#define ECL_H

#include <stddef.h>
#include <stdint.h>

/* Of this interface. Within a major number functions are only added. */
#define ECL_C_VERSION_MAJOR 0
#define ECL_C_VERSION_MINOR 1

#if defined(__GNUC__)
#define ECL_API __attribute__((visibility("default")))
#else
#define ECL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum ecl_code {
  ECL_OK = 0,
  ECL_INTERNAL = 1,  /* a fault of ecl, or of MPI */
  ECL_USAGE = 2,     /* an argument or an option is wrong */
  ECL_RANK_LOST = 3, /* another rank has died, has failed, or left while this one needs it */
  ECL_DIVERGED = 4,  /* a gradient holds an infinity or a NaN */
  ECL_IO = 5         /* a saved state is damaged or of another node; no memory, or no shared memory */
};

/* One line on the last call of this thread that failed; empty before. Valid until the next such call. */
ECL_API const char *ecl_error(void);

/* "0.1.0". */
ECL_API const char *ecl_version(void);
/* ECL_C_VERSION_MAJOR << 16 | ECL_C_VERSION_MINOR of the library that is loaded. */
ECL_API int ecl_c_version(void);
/* "Open MPI v4.1.4" or the like: the MPI that the library was built with. Needs no ecl_init(). */
ECL_API const char *ecl_mpi(void);

/* Starts MPI, with what ecl needs of it set; MPI that runs already is taken as it is. Again and again: does nothing. */
ECL_API int ecl_init(void);
/* The end of it, before the process ends: collective over all ranks, whose nodes are closed. Ends MPI if ecl_init()
 * started it. */
ECL_API int ecl_finalise(void);
/* Ends all ranks at once; this one with exit code `code`. What was printed before is not lost. */
ECL_API void ecl_abort(int code);

/* In MPI_COMM_WORLD, after ecl_init(); 0 and 1 before. */
ECL_API int ecl_rank(void);
ECL_API int ecl_size(void);

/* The neighbours of `node`, ascending, in a graph over `nodes` nodes, as "ring", "torus" or "random_regular:4" (ecl list
 * names them all): writes up to `room` of them, and how many there are. Those that it hears, on one-way edges. */
ECL_API int ecl_neighbours(const char *topology, int nodes, uint64_t seed, int node, int *neighbours, size_t room,
                           size_t *count);

/* One rank's part in a training run. */
typedef struct ecl_node ecl_node;

#define ECL_COMM_WORLD (-1)

/* Begins a run over the ranks of a communicator, given by its Fortran handle (MPI_Comm_c2f; mpi4py: comm.py2f()), or
 * ECL_COMM_WORLD. Collective; duplicates the communicator. Waits for all ranks.
 *
 * x: this rank's model, `dim` floats (2147483647 at most), first values alike on all ranks, which is checked. It stays
 * the caller's and must outlive the node, which works in place: between calls the caller may read it, and nobody else
 * writes it. Floats that begin on a cache line (64 bytes) give the same bits everywhere.
 *
 * options: texts "key=value", after the last a null pointer; alike on all ranks, which is checked:
 *
 *     topology      ring                   the graph: ecl list
 *     solver        ecl                    the algorithm, with its parameters, as ecl:theta=0.5
 *     mode          async                  or lock-step: each round needs the neighbours' messages of the one before
 *     lr            0.05                   learning rate (0.001 under adam). Open with the largest: it sets how firmly
 *                                          the edges couple
 *     optimizer     sgd                    or adam, adamw, as adam:beta2=0.99,eps=1e-6: of the gradient with the
 *                                          neighbours' corrections, for solvers ecl, led, k_gt, lt_admm, scaffold,
 *                                          dpsgd, fedavg, local. ecl has a momentum in place of beta1
 *     measure_steps 16                     before adam's first step, where the solver has corrections: see ecl_step()
 *     clip_norm     0                      longest gradient (L2 norm), with the neighbours' corrections; 0: any
 *     momentum      0                      heavy ball, of solvers that have no momentum of their own
 *     weight_decay  0                      lambda of lambda/2 |x|^2; of adamw's decay
 *     local_steps   1                      K: steps of a round
 *     exchanges     usual                  R: exchanges after each round; usual: the solver's own number; auto or
 *                                          auto:PERCENT: as many, from 2 to 16, as the links carry in PERCENT (25) of
 *                                          the time of the round's steps, by each rank's own clock
 *     patience      1                      how long each but the first waits for the neighbours, in rounds' own time
 *     overlap       0                      1: they come while the next gradients are computed (ecl_exchange)
 *     progress      calls                  what moves messages within a long gradient: calls (ecl_exchange), or thread
 *     total_steps   0                      of each rank; 0: unknown, the end is where a rank settles
 *     schedule      constant               how lr falls over total_steps: constant, cosine, linear:FROM, step:AT,FACTOR
 *     settle        1000                   most exchanges of ecl_settle()
 *     settle_s      60                     and most seconds
 *     consensus_error 0.01                 below it the ranks agree
 *     exchange      auto                   what carries messages: auto, shared, window, messages
 *     seed          1                      of random graphs and solvers
 *     same          (empty)                any text that must be alike on all ranks, a model's layout for example
 *
 * progress=thread: a thread of ecl's calls ecl_exchange() every millisecond in which the caller calls nothing. What it
 * finds wrong is the next call's error. It and the caller use MPI in turn, which ecl's calls see to; who calls MPI
 * otherwise while such a node is open needs MPI_THREAD_MULTIPLE, so has started MPI before ecl_init(). */
ECL_API int ecl_open(int comm, const char *const *options, float *x, size_t dim, ecl_node **node);

/* Before a gradient is taken: x is then where it is wanted. In lock step it waits for the neighbours' messages. A second
 * call before the step does nothing, nor does one after the last step. */
ECL_API int ecl_begin(ecl_node *node);

/* One step along minus `gradient` (dim floats). After a round's last it exchanges with the neighbours: R times, between
 * which it waits for their answers, at most `patience` (in lock step until they come). ECL_DIVERGED, and no step, if
 * the gradient holds an infinity or a NaN.
 *
 * Under adam solvers with corrections (all that take it but dpsgd, fedavg, local) want to know how large gradients are
 * before they begin. Of the first `measure_steps` calls only the gradients are looked at, and x stays as it is; the
 * last of these calls is collective, and waits for all ranks, which agree on each parameter's mean square. They count as
 * steps, but a schedule begins after them. A rank that makes no more steps than these, and settles, is named on all
 * ranks, as ECL_RANK_LOST; one that makes none at all has no data, and may settle. */
ECL_API int ecl_step(ecl_node *node, const float *gradient);

/* Within a long gradient, every millisecond or so: moves messages, and answers those of faster neighbours. x stays. */
ECL_API int ecl_exchange(ecl_node *node);

/* From the next step on; above 0. */
ECL_API int ecl_set_lr(ecl_node *node, double lr);

/* The end of this rank's steps, wherever the others are. Collective: waits until all ranks have come here, answering
 * neighbours that still train; then all exchange without gradients until their models agree, or as long as options say.
 * *error: the consensus error, the root mean square over the ranks of |x - mean| / |mean|. The ranks agree if it is
 * below the option consensus_error; the caller looks. In lock step all ranks have made the same number of steps; if
 * not, that is an error on all. */
ECL_API int ecl_settle(ecl_node *node, double *error);

/* Collective: `values` become their means over the ranks, which give as many each. All ask for as many averages before
 * they settle or close, and, under adam, before the last of measure_steps; in lock step also after the same steps. If
 * not, that is an error on all. */
ECL_API int ecl_average(ecl_node *node, float *values, size_t count);

/* x and all else that a later node needs to go on from here; valid until the node's next call. In lock step all ranks
 * save after the same step; each first takes its neighbours' messages, as ecl_begin() does. Asynchronously all save
 * within the first measure_steps, or none. */
ECL_API int ecl_save(ecl_node *node, const void **state, size_t *bytes);
/* Into a node that has made no step yet, opened alike, over as many ranks; at a constant rate total_steps may be others,
 * and the limits of settling, patience, progress and what carries messages may always. Collective. In lock step the run
 * then goes on bit for bit; asynchronously messages that were on their way are lost, which costs no more than lost
 * messages do. */
ECL_API int ecl_load(ecl_node *node, const void *state, size_t bytes);

/* A figure of this rank so far: steps, rounds (exchanges with the neighbours), bytes_sent (payload), messages_sent,
 * messages_taken, messages_overwritten (replaced by a newer one before they were read), messages_refused (they held an
 * infinity or a NaN), exchange_seconds, staleness_p50, staleness_p99 (how old messages were, in own steps). */
ECL_API int ecl_figure(const ecl_node *node, const char *name, double *value);

/* Frees the node. Collective: waits until all ranks close theirs; one that has not settled answers neighbours that
 * still train meanwhile. After an error it frees what it can and waits for nobody. NULL is fine. */
ECL_API int ecl_close(ecl_node *node);

/* `bytes` of each rank, as many on all, into `all`: in the order of the ranks, on every rank. 2147483647 at most:
 * more go in several calls. Collective over the ranks of MPI_COMM_WORLD. */
ECL_API int ecl_gather(const void *mine, size_t bytes, void *all);

/* The command line tool in this process: ecl_tool(5, (const char *[]){"simulate", "--nodes", "4", "--out", "a"}, 0).
 * Prints what the tool prints, standard error apart from the line of an error, which is in ecl_error(); returns the
 * tool's exit code, so 75, too, when a signal stopped a run. silent: no results and warnings, for whoever reads the
 * run's summary.json. Any number of times. `train` and `doctor` are collective over the ranks of MPI_COMM_WORLD and
 * start MPI as ecl_init() does. If a rank dies in `train` the others end their processes, as the tool's do. After an error
 * that ends all ranks' calls those that are collective, and under mpirun all, say it again. */
ECL_API int ecl_tool(int argc, const char *const *argv, int silent);

/* A run's average model at work, for one thread at a time. Needs no MPI. Of ecl_predictor_*: NULL, or a wrong number, gives NULL, 0 or -1. */
typedef struct ecl_predictor ecl_predictor;

/* run: the directory of a run, or its folder model/; of one that has not ended its newest checkpoint, and a note on
 * standard error. node: whose scaling, where each node has its own, and only there; else -1. */
ECL_API int ecl_predictor_open(const char *run, int node, ecl_predictor **predictor);
/* NULL is fine. */
ECL_API void ecl_predictor_close(ecl_predictor *predictor);

/* Columns of a row that is to be predicted; their names, where they have any. */
ECL_API int ecl_predictor_inputs(const ecl_predictor *predictor);
ECL_API const char *ecl_predictor_input(const ecl_predictor *predictor, int input);
/* The number by which a row says a text of a categorical column, levels being numbered from 0; -1: no training row had
 * it, which a row may say, too. -2: that column takes numbers. */
ECL_API int ecl_predictor_level(const ecl_predictor *predictor, int input, const char *text);
/* How many classes it tells apart; 0: it predicts a number. Their names. */
ECL_API int ecl_predictor_classes(const ecl_predictor *predictor);
ECL_API const char *ecl_predictor_class(const ecl_predictor *predictor, int number);
/* 1: a row has any number of the classes, each with a probability of its own (--loss logistic). */
ECL_API int ecl_predictor_multi_label(const ecl_predictor *predictor);

/* rows: `count` times as many floats as there are inputs, in the units of the training data (it scales them itself);
 * NaN where a value is missing. outputs: `count` times as many floats as there are classes: their probabilities; or
 * `count` numbers in the label's own unit. classes: the most probable class of each row, -1 where it has any number of them;
 * NULL if it is not wanted. A row that training would have left out (missing=drop) gets NaN, and -1. */
ECL_API int ecl_predict(ecl_predictor *predictor, const float *rows, size_t count, float *outputs, int *classes);

#ifdef __cplusplus
}
#endif

#endif
