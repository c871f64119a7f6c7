#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/command.hpp"

/// What `ecl train` and `ecl simulate` must refuse, and what they must say.
namespace ecl::test {

struct Mistake {
  std::string name, options;       ///< {} in the options stands for the directory of `write_inputs`
  std::vector<std::string> parts;  ///< all in the message
  int exit_code = 2;
};

inline std::string in_directory(std::string text, const std::filesystem::path& directory) {
  for (std::size_t at = text.find("{}"); at != std::string::npos; at = text.find("{}")) text.replace(at, 2, directory);
  return text;
}

/// The files that the mistakes name.
inline void write_inputs(const std::filesystem::path& directory) {
  write_file(directory / "pieces.txt", "0 1\n2 3\n");
  std::string torn = "a,b,label\n1,2,x\n3,oops,y\n";
  for (int row = 0; row < 40; ++row) torn += "4,5,x\n";
  write_file(directory / "torn.csv", torn);
  write_file(directory / "junk.csv", std::string("\x00\xff\x13garbage\x01", 11));
  write_file(directory / "four.csv", "a,b,label\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n");
  write_file(directory / "typo.ini", "epochs = 1\nlerning-rate = 3\n");
  write_file(directory / "empty.ini", "model =\n");
  write_file(directory / "both.ini", "steps = 5\nepochs = 2\n");
  write_file(directory / "comma.ini", "lr = 0,5\n");
  write_file(directory / "quote.ini", "data = \"/data/#1\"\n");
  write_file(directory / "short.txt", "0\n0\n0\n");
  std::filesystem::create_directory(directory / "idx");
  for (const char* set : {"train", "t10k"}) {
    write_file(directory / "idx" / (std::string(set) + "-images-idx3-ubyte"), "\x1f\x8b torn");
    write_file(directory / "idx" / (std::string(set) + "-labels-idx1-ubyte"), "garbage");
  }
}

/// Those that any number of nodes shows.
inline const std::vector<Mistake>& mistakes() {
  static const std::vector<Mistake> all = {
      {"unknown_option",
       "--lokal-steps 3",
       {"unknown option --lokal-steps", "did you mean '--local-steps'?", "--help"}},
      {"abbreviated_option", "--topol ring", {"unknown option --topol", "--help"}},
      {"bare_word", "ring", {"'ring' is not an option", "--help"}},
      {"missing_value", "--lr", {"--lr", "missing", "--help"}},
      {"unknown_solver", "--solver ekl", {"unknown solver 'ekl'", "did you mean 'ecl'?", "dpsgd"}},
      {"unknown_topology", "--topology rinng", {"unknown topology 'rinng'", "did you mean 'ring'?", "torus"}},
      {"unknown_model", "--model sotfmax", {"unknown model 'sotfmax'", "did you mean 'softmax'?", "mlp"}},
      {"empty_model", "--config {}/empty.ini", {"--model is empty", "leave the option out"}},
      {"unknown_dataset", "--dataset digit", {"unknown dataset 'digit'", "did you mean 'digits'?", "csv"}},
      {"unknown_partition", "--partition clases:2", {"unknown partition 'clases'", "did you mean 'classes'?", "iid"}},
      {"trace_directory", "--trace {}", {"--trace /", "that is a directory", "trace.json"}},
      {"unknown_mode", "--mode lockstep", {"--mode", "'lockstep'", "async, lock-step"}},
      {"unknown_schedule", "--lr-schedule cosin", {"learning rate schedule", "'cosin'", "constant, cosine, linear"}},
      {"unknown_set_key", "--set thta=1", {"solver ecl", "'thta'", "did you mean 'theta'?", "theta, alpha_scale"}},
      {"set_key_of_none", "--solver local --set x=1", {"solver local", "'x'"}},
      {"set_out_of_range", "--set theta=7", {"solver ecl", "theta = 7", "0.01 .. 1"}},
      {"set_not_a_number", "--set theta=much", {"solver ecl", "theta", "'much' is not a number"}},
      {"set_without_value", "--set theta", {"'theta'", "key=value"}},
      {"set_twice", "--set theta=1 --set theta=0.5", {"theta", "twice"}},
      {"option_twice", "--lr 0.1 --lr 0.2", {"--lr", "more than once"}},
      {"steps_and_epochs", "--steps 5 --epochs 2", {"--steps and --epochs", "give one"}},
      {"steps_and_epochs_in_config", "--config {}/both.ini", {"both.ini: steps and epochs both say", "keep one"}},
      {"compare_local_of_dealt_data", "--compare-local", {"--compare-local", "data are dealt", "{node} in --data"}},
      {"lr_zero", "--lr 0", {"--lr 0", "above 0"}},
      {"lr_negative", "--lr -1", {"--lr -1", "above 0"}},
      {"lr_nan", "--lr nan", {"--lr nan"}},
      {"lr_infinite", "--lr inf", {"--lr inf"}},
      {"lr_word", "--lr fast", {"--lr", "'fast'"}},
      {"lr_comma", "--lr 1,5", {"--lr: '1,5' is not a number; a decimal point is meant: 1.5"}},
      {"lr_thousands", "--lr 1.000,5", {"--lr: '1.000,5' is not a number; a decimal point is meant: 1000.5"}},
      {"lr_comma_in_config", "--config {}/comma.ini", {"comma.ini: --lr: '0,5' is not a number", "meant: 0.5"}},
      {"set_comma", "--set theta=0,5", {"solver ecl: theta: '0,5' is not a number", "meant: 0.5"}},
      {"schedule_comma", "--lr-schedule linear:0,5", {"learning rate schedule", "a decimal point is meant: 0.5"}},
      {"epochs_word", "--epochs ten", {"--epochs: 'ten' is not a number"}},
      {"batch_enormous", "--batch 99999999999999999999", {"--batch: '99999999999999999999' is beyond"}},
      {"local_steps_enormous", "--local-steps 9999999999", {"--local-steps: '9999999999' is beyond"}},
      {"batch_zero", "--batch 0", {"--batch 0", "at least 1"}},
      {"batch_negative", "--batch -3", {"--batch -3", "whole number"}},
      {"batch_fraction", "--batch 2.5", {"--batch", "'2.5'"}},
      {"seed_negative", "--seed -1", {"--seed -1", "whole number"}},
      {"exchanges_zero", "--exchanges 0", {"--exchanges 0", "usual, a number in 1 .. 1000, auto"}},
      {"exchanges_auto_none", "--exchanges auto:0", {"--exchanges auto:0", "a percentage above 0"}},
      {"exchanges_auto_what", "--exchanges auto:x", {"--exchanges auto:x", "a percentage above 0"}},
      {"exchanges_auto_lock_step", "--exchanges auto --mode lock-step", {"--exchanges auto", "needs --mode async"}},
      {"exchanges_auto_overlap", "--exchanges auto --overlap", {"--exchanges auto", "no --overlap"}},
      {"exchanges_auto_no_patience", "--exchanges auto --patience 0", {"--exchanges auto", "--patience above 0"}},
      {"patience_lock_step", "--patience 2 --mode lock-step", {"--patience", "in lock step each waits for all"}},
      {"exchanges_auto_isvr", "--exchanges auto --solver ecl_isvr", {"solver ecl_isvr", "leave out --exchanges auto"}},
      {"local_steps_negative", "--local-steps -1", {"--local-steps -1", "at least 0"}},
      {"momentum_one", "--momentum 1", {"--momentum 1", "momentum < 1"}},
      {"momentum_negative", "--momentum -0.1", {"--momentum -0.1", "0 <= momentum"}},
      {"weight_decay_negative", "--weight-decay -1", {"--weight-decay -1", "at least 0"}},
      {"epochs_negative", "--epochs -1", {"--epochs -1", "in 0 .. 1e9"}},
      {"epochs_enormous", "--epochs 1e30", {"--epochs 1e+30", "in 0 .. 1e9"}},
      {"eval_every_negative", "--eval-every -1", {"--eval-every -1", "at least 0"}},
      {"node_speed_nobody", "--node-speed 99:2", {"--node-speed", "no node 99"}},
      {"node_batch_nobody", "--node-batch 99:2", {"--node-batch", "no node 99"}},
      {"node_batch_form", "--node-batch 4", {"--node-batch", "NODE:SAMPLES"}},
      {"node_batch_none", "--node-batch 0:0", {"--node-batch", "take at least 1"}},
      {"node_speed_form", "--node-speed 4", {"--node-speed", "NODE:FACTOR"}},
      {"pdmm_many_local_steps", "--solver pdmm", {"solver pdmm", "--local-steps 1"}},
      {"pdmm_momentum", "--solver pdmm --local-steps 1 --momentum 0.9", {"solver pdmm", "--momentum at 0"}},
      {"pdmm_on_mlp", "--solver pdmm --local-steps 1 --model mlp", {"model mlp", "proximal step", "--solver ecl"}},
      {"hidden_without_mlp", "--hidden 10", {"model softmax", "hidden"}},
      {"mlp_on_quadratics", "--model mlp --dataset quadratic", {"model mlp", "no classes", "--model quadratic"}},
      {"quadratic_on_digits", "--model quadratic", {"model quadratic", "--dataset quadratic", "softmax"}},
      {"unknown_placement", "--placement clowd", {"--placement", "'clowd'", "device, edge:S, cloud"}},
      {"placement_without_devices", "--placement cloud", {"--placement cloud", "--devices M"}},
      {"more_servers_than_devices", "--placement edge:9 --devices 8", {"--placement edge:9", "8 devices"}},
      {"by_column_as_written", "--partition by-column:nix", {"partition by-column: ", "no column 'nix'"}},
      {"by_column_as_written_too", "--partition by_column:", {"partition by_column needs column"}},
      {"open_quote", "--dataset csv:group=\"a", {"dataset csv: a quote is not closed"}},
      {"open_quote_in_config", "--config {}/quote.ini", {"quote.ini: data = ", "quotes are not closed", "\\x23"}},
      {"too_many_classes", "--partition classes:11", {"classes", "K = 11", "1 .. 10"}},
      {"unknown_augmentation", "--augment flip", {"--augment flip", "none or crop-flip"}},
      {"augmented_numbers",
       "--augment crop-flip --dataset synthetic",
       {"--augment crop-flip", "synthetic", "no pictures"}},
      {"augmented_pdmm",
       "--augment crop-flip --solver pdmm --local-steps 1",
       {"solver pdmm", "exact steps", "leave out --augment"}},
      {"no_cifar_named", "--dataset cifar10", {"dataset cifar10", "scripts/fetch-data cifar10", "--data"}},
      {"no_data_named", "--dataset csv", {"dataset csv", "--data FILE"}},
      {"no_such_data", "--dataset csv --data {}/nosuch", {"nosuch", "--data"}},
      {"no_such_partition", "--partition file:{}/nosuch", {"nosuch", "file:PATH"}},
      {"short_partition", "--partition file:{}/short.txt", {"short.txt", "1438"}},
      {"no_such_config", "--config {}/nosuch", {"--config", "nosuch", "cannot be read"}},
      {"config_is_a_directory", "--config {}", {"--config", "cannot be read"}},
      {"typo_in_config", "--config {}/typo.ini", {"typo.ini", "lerning-rate"}},
      {"torn_csv", "--dataset csv --data {}/torn.csv", {"torn.csv:3:3", "'oops' is not a number"}, 5},
      {"junk_csv", "--dataset csv --data {}/junk.csv", {"junk.csv"}, 5},
      {"torn_idx", "--dataset mnist --data {}/idx", {"train-labels-idx1-ubyte"}, 5},
  };
  return all;
}

}  // namespace ecl::test
