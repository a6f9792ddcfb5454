# Runs a model: `Rscript --vanilla run.R MODEL`, started by Muster with the binary wire on descriptors 3 and 4. MODEL is a script
# that defines `predict(data)`. Base R alone; what is here is out of the model's sight.

muster <- new.env(parent = baseenv())

# Where this file is: the others lie beside it.
muster_folder <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])))
for (muster_file in c("json.R", "columns.R", "frames.R", "host.R")) {
  sys.source(file.path(muster_folder, muster_file), envir = muster)
}
rm(muster_folder, muster_file)

options(warn = 1) # warnings go to the log when they come, not when the process ends
invisible(compiler::enableJIT(3L))
local({
  arguments <- commandArgs(trailingOnly = TRUE)
  if (length(arguments) != 1L) stop("usage: Rscript run.R MODEL")
  quit(save = "no", status = muster$serve(arguments))
})
