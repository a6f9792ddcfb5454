# Loads a model and answers questions until Muster says that it is enough.

about <- "{\"language\":\"r\",\"helper\":\"1\"}"
traces_a_minute <- 6L

# Speaks the binary wire until it ends; gives the exit status.
serve <- function(script) {
  questions <- file("/dev/fd/3", "rb", raw = TRUE)
  answers <- file("/dev/fd/4", "wb", raw = TRUE)
  say_error <- function(frame, code, message) {
    payload <- sprintf("{\"code\":%s,\"message\":%s}", write_string(code), write_string(message))
    write_frame(answers, frame_kinds[["error"]], frame$sequence, charToRaw(payload))
  }
  model <- NULL
  repeat {
    frame <- read_frame(questions)
    if (is.null(frame) || frame$kind == frame_kinds[["stop"]]) return(0L)
    if (frame$kind == frame_kinds[["load"]]) {
      model <- attempted(load_model(script, frame$payload))
      if (inherits(model, "condition")) {
        say_error(frame, "load-failed", words_of_error(model))
        return(1L)
      }
      write_frame(answers, frame_kinds[["loaded"]], frame$sequence, charToRaw(about))
    } else if (frame$kind == frame_kinds[["predict"]] && !is.null(model)) {
      answer <- attempted(answer_of(model, frame$payload))
      if (inherits(answer, "condition")) {
        code <- if (inherits(answer, "output_broken")) "output-broken" else "model-raised"
        say_error(frame, code, words_of_error(answer))
      } else {
        write_frame(answers, frame_kinds[["answer"]], frame$sequence, answer)
      }
    } else {
      say_error(frame, "not-understood", sprintf("a frame of kind %d is not for a model", frame$kind))
    }
  }
}

load_model <- function(script, payload) {
  text <- rawToChar(payload)
  Encoding(text) <- "UTF-8"
  load <- read_json(text)
  inputs <- lapply(load$inputs, field_of)
  outputs <- lapply(load$outputs, field_of)
  predict <- predictor_of(script)
  list(predict = predict, wants_exact = "exact" %in% names(formals(predict)), inputs = inputs, outputs = outputs)
}

# The function `predict` of a script. It is taken out of the script's own environment, so that `predict(fit, data)` in there is R's.
predictor_of <- function(script) {
  own <- new.env(parent = globalenv())
  sys.source(script, envir = own, chdir = FALSE, keep.source = TRUE)
  if (!exists("predict", envir = own, inherits = FALSE) || !is.function(own$predict)) {
    stop(sprintf("%s defines no function \"predict\"", script))
  }
  predict <- own$predict
  rm("predict", envir = own)
  predict
}

answer_of <- function(model, payload) {
  table <- read_table(payload)
  if (length(table$columns) != length(model$inputs)) {
    stop(sprintf("a table of %d columns, the contract has %d inputs", length(table$columns), length(model$inputs)))
  }
  data <- data_frame(model$inputs, table, read_values)
  given <- if (model$wants_exact) {
    is_long <- vapply(model$inputs, function(field) field$datatype %in% long, NA)
    whole <- list(rows = table$rows, columns = table$columns[is_long])
    model$predict(data, exact = data_frame(model$inputs[is_long], whole, read_exact))
  } else {
    model$predict(data)
  }
  given <- named(given, model$outputs)
  answers <- lapply(model$outputs, function(field) write_column(field, given[[field$name]], table$rows))
  write_table(table$rows, answers)
}

data_frame <- function(fields, table, read) {
  columns <- Map(function(field, column) read_column(field, column$data, column$nulls, table$rows, read), fields, table$columns)
  names(columns) <- vapply(fields, function(field) field$name, "")
  # Not by data.frame(), which would change names and matrices.
  structure(columns, class = "data.frame", row.names = .set_row_names(table$rows))
}

# Outputs by name; a model with one output may give its vector alone.
named <- function(given, outputs) {
  wanted <- vapply(outputs, function(field) field$name, "")
  if (length(outputs) == 1L && (is.atomic(given) || is.factor(given))) {
    return(structure(list(given), names = wanted))
  }
  if (!is.list(given)) broken(outputs[[1L]], "is missing: predict gives a list or a data.frame with a column for each output")
  missing <- setdiff(wanted, names(given))
  if (length(missing)) broken(list(name = missing[1L]), "is missing in what predict gave")
  more <- setdiff(names(given), wanted)
  if (length(more)) broken(list(name = more[1L]), "is not in the contract")
  given
}

# The value, or the error as a condition; its calls go to the log, a few times a minute.
attempted <- function(expression) {
  tryCatch(
    withCallingHandlers(expression, error = function(error) trace_of(error, sys.calls())),
    error = function(error) error
  )
}

# The message of a condition as one text, whatever the script has made of it.
words_of_error <- function(error) {
  tryCatch(paste(as.character(conditionMessage(error)), collapse = " "), error = function(other) "an error without a message")
}

traces <- new.env()
traces$since <- 0
traces$count <- 0L

trace_of <- function(error, calls) {
  now <- proc.time()[["elapsed"]]
  if (now - traces$since > 60) {
    traces$since <- now
    traces$count <- 0L
  }
  traces$count <- traces$count + 1L
  if (traces$count > traces_a_minute) return(invisible())
  shown <- vapply(utils::tail(calls, 12L), function(call) substr(deparse(call, nlines = 1L)[1L], 1L, 120L), "")
  message("Error: ", words_of_error(error), "\n", paste0("  ", shown, collapse = "\n"))
}
