# Tests of the host, in plain R: `Rscript --vanilla tests/test.R` from this folder's parent. Says what failed, and ends with 1.

host <- new.env(parent = baseenv())
for (file in c("json.R", "columns.R", "frames.R", "host.R")) sys.source(file, envir = host)

failures <- 0L
test <- function(claim, expression) {
  passed <- tryCatch(isTRUE(expression), error = function(error) {
    message("  ", conditionMessage(error))
    FALSE
  })
  if (!passed) failures <<- failures + 1L
  cat(if (passed) "ok     " else "FAILED ", claim, "\n", sep = "")
}

field <- function(datatype, shape = integer(), nullable = FALSE) {
  list(name = "x", datatype = datatype, shape = shape, nullable = nullable, elements = as.integer(prod(shape)))
}
there_and_back <- function(field, data, nulls, rows) {
  written <- host$write_column(field, host$read_column(field, data, nulls, rows), rows)
  marks <- if (is.null(written$nulls)) integer() else which(written$nulls == as.raw(1L))
  identical(written$data, data) && identical(marks, nulls)
}
raised <- function(expression, pattern) {
  message <- tryCatch({
    expression
    ""
  }, error = conditionMessage)
  grepl(pattern, message)
}
texts <- function(...) {
  unlist(lapply(list(...), function(bytes) c(host$words(length(bytes)), as.raw(bytes))))
}

test("every 16-bit float comes back, NaN but for its payload", {
  all <- 0:65535
  finite <- all[!(bitwAnd(all, 31744L) == 31744L & bitwAnd(all, 1023L) != 0L)]
  there_and_back(field("FP16"), writeBin(finite, raw(), size = 2L), integer(), length(finite))
})
test("a number that is no FP16 is refused", raised(host$write_column(field("FP16"), 0.1, 1L), "no FP16"))
test("NaN keeps its payload and is no null", {
  bits <- as.raw(c(1, 0, 0, 0, 0, 0, 0xf8, 0x7f))
  there_and_back(field("FP64", nullable = TRUE), c(bits, raw(8L)), 2L, 2L)
})
test("INT32 has -2^31, which R's own integer has not", {
  there_and_back(field("INT32"), as.raw(c(0, 0, 0, 0x80)), integer(), 1L) &&
    host$read_column(field("INT32"), as.raw(c(0, 0, 0, 0x80)), integer(), 1L) == -2^31
})
long <- function(...) unlist(lapply(list(...), function(words) host$words(words)))
for (datatype in c("INT64", "UINT64")) {
  test(paste(datatype, "computes as plain numbers, whatever values are beside"), {
    alone <- host$read_column(field(datatype), long(c(5, 0)), integer(), 1L)
    beside <- host$read_column(field(datatype), long(c(5, 0), c(1, 2097152)), integer(), 2L) # 2^53 + 1
    identical(alone, 5) && identical(beside, c(5, 2^53)) && identical(drop(cbind(1, beside) %*% c(.5, 2))[1L], 10.5)
  })
  test(paste(datatype, "is all its digits where that is asked for, and they come back, nulls and tensors too"), {
    set.seed(1)
    ends <- c(0L, NA, -1L, 2147483647L, 1L, NA, 0L, 2097152L, 1L, 2097152L, -1L, -1L, 0L, 0L, -1L, 0L) # NA is 0x80000000
    words <- c(ends, as.integer(runif(4000, -2^31 + 1, 2^31 - 1)))
    data <- writeBin(words, raw(), size = 4L, endian = "little")
    rows <- length(words) %/% 2L
    same <- function(field, nulls, rows) {
      written <- host$write_column(field, host$read_column(field, data, nulls, rows, host$read_exact), rows)
      keep <- !rep(seq_len(rows) %in% nulls, each = length(data) / rows)
      identical(written$data[keep], data[keep]) && identical(which(written$nulls == as.raw(1L)), nulls)
    }
    same(field(datatype, nullable = TRUE), 3L, rows) && same(field(datatype, 2L, nullable = TRUE), 5L, rows %/% 2L)
  })
}
test("digits are those of the whole number", {
  words <- c(as.raw(rep(255L, 7)), as.raw(127L), raw(7L), as.raw(128L), as.raw(rep(255L, 8L)), long(c(1, 2097152)))
  identical(
    host$read_exact("INT64", words, 4L), c("9223372036854775807", "-9223372036854775808", "-1", "9007199254740993")
  ) && identical(host$read_exact("UINT64", words, 3L)[2:3], c("9223372036854775808", "18446744073709551615"))
})
test("a whole number that no number of R names is refused, as a text it is taken", {
  raised(host$write_column(field("INT64"), c(1, 2^53), 2L), "is 9007199254740992 in row 1: .* decimal text") &&
    identical(host$write_column(field("INT64"), c("9007199254740993", "-0", "007"), 3L)$data, long(c(1, 2097152), c(0, 0), c(7, 0))) &&
    raised(host$write_column(field("INT64"), "9223372036854775808", 1L), "no INT64") &&
    raised(host$write_column(field("INT64"), "-9223372036854775809", 1L), "no INT64") &&
    raised(host$write_column(field("UINT64"), "18446744073709551616", 1L), "no UINT64") &&
    raised(host$write_column(field("UINT64"), "-1", 1L), "no UINT64") &&
    raised(host$write_column(field("INT64"), c("1", "1e3"), 2L), "is \"1e3\" in row 1: no INT64") &&
    raised(host$write_column(field("INT64"), "123456789012345678901", 1L), "no INT64") &&
    raised(host$write_column(field("INT32"), "1", 1L), "is character: no INT32")
})
test("vectors of bit64 are taken, and their NA is null", {
  bits <- function(...) structure(readBin(c(...), "double", 2L, endian = "little"), class = "integer64")
  one <- host$write_column(field("INT64", nullable = TRUE), bits(long(c(1, 2097152)), raw(7L), as.raw(128L)), 2L)
  identical(one, list(data = c(long(c(1, 2097152)), raw(8L)), nulls = as.raw(c(0, 1)))) &&
    raised(host$write_column(field("UINT64"), bits(raw(8L), as.raw(rep(255L, 8L))), 2L), "below zero") &&
    raised(host$write_column(field("FP64"), bits(raw(16L)), 2L), "class integer64: no FP64")
})
test("a model that asks for them gets the whole numbers as texts, in a data.frame of their own", {
  model <- list(
    inputs = list(c(field("INT64"), list(name = "a"))[-1L], field("FP64")), outputs = list(field("INT64")),
    predict = function(data, exact) if (identical(names(exact), "a") && is.double(data$a)) exact$a, wants_exact = TRUE
  )
  payload <- c(host$words(1, 0, 1, 0, 1, 2, 8, 0, 0, 0, 8, 0, 0, 0), long(c(1, 2097152)), raw(8L))
  identical(utils::tail(host$answer_of(model, payload), 8L), long(c(1, 2097152)))
})
test("texts of any bytes of UTF-8 come back, empty ones and U+0000 as well", {
  data <- texts(integer(), c(0xf0, 0x9f, 0x98, 0x80), c(65, 0, 66), integer(), c(0xc3, 0xa4), integer())
  there_and_back(field("BYTES"), data, integer(), 6L)
})
test("a text is marked as UTF-8", {
  identical(host$read_column(field("BYTES"), texts(c(0xc3, 0xa4)), integer(), 1L), "\u00e4")
})
test("a tensor is a matrix of rows", {
  data <- writeBin(as.double(1:6), raw())
  value <- host$read_column(field("FP64", 3L), data, integer(), 2L)
  identical(value, matrix(as.double(1:6), nrow = 2L, byrow = TRUE)) && there_and_back(field("FP64", 3L), data, integer(), 2L)
})
test("a tensor of two dimensions keeps their order", {
  data <- writeBin(as.double(1:12), raw())
  host$read_column(field("FP64", c(2L, 3L)), data, integer(), 2L)[2L, 1L, 3L] == 9 &&
    there_and_back(field("FP64", c(2L, 3L)), data, integer(), 2L)
})
test("no rows are columns without elements", {
  all(vapply(names(host$item_bytes), function(datatype) there_and_back(field(datatype), raw(), integer(), 0L), NA))
})
test("a factor is its texts", identical(host$write_column(field("BYTES"), factor("a"), 1L)$data, texts(97)))
test("what does not fit is told with its row", {
  raised(host$write_column(field("INT8"), c(1, 128), 2L), "is 128 in row 1: no INT8") &&
    raised(host$write_column(field("INT64"), 0.5, 1L), "no INT64") &&
    raised(host$write_column(field("INT32"), c(0, NaN), 2L), "is NaN in row 1: no INT32") &&
    raised(host$write_column(field("FP64"), NA_real_, 1L), "not nullable") &&
    raised(host$write_column(field("FP64"), c(1, 2), 1L), "2 values where 1 rows need 1") &&
    raised(host$write_column(field("BYTES"), 1, 1L), "no text")
})
test("outputs are taken by name, the only one without", {
  two <- list(list(name = "a"), list(name = "b"))
  identical(host$named(1, two[1L]), list(a = 1)) &&
    raised(host$named(list(a = 1), two), "\"b\" is missing") &&
    raised(host$named(list(a = 1, b = 2, c = 3), two), "\"c\" is not in the contract")
})
test("JSON is read with escapes, and written", {
  read <- host$read_json("{\"a\": [1, \"\\u00e4\\ud83d\\ude00\\n\", null, true], \"b\": {}}")
  identical(read$a[[2L]], "\u00e4\U0001F600\n") && is.null(read$a[[3L]]) && isTRUE(read$a[[4L]]) && read$a[[1L]] == 1 &&
    identical(host$write_string("a\"\\\n"), "\"a\\\"\\\\\\u000a\"")
})
test("any message of an error becomes one text of JSON", {
  said <- function(message) host$write_string(host$words_of_error(structure(class = c("error", "condition"), list(message = message))))
  marked <- "trouv\xe9"
  Encoding(marked) <- "bytes"
  sound <- vapply(list("trouv\xe9", marked, c("a", "b"), NULL, NA, quote(f(x))), function(message) validUTF8(said(message)), NA)
  all(sound) && identical(said(c("a", "b")), "\"a b\"") && identical(said("trouv\xe9"), "\"trouv<e9>\"")
})
test("a script's own predict() does not hide R's from the script", {
  script <- tempfile(fileext = ".R")
  writeLines(c("fit <- lm(dist ~ speed, cars)", "predict <- function(data) predict(fit, data)"), script)
  length(host$predictor_of(script)(data.frame(speed = 1:3))) == 3L
})
test("a script without predict() is refused", {
  script <- tempfile(fileext = ".R")
  writeLines("answer <- 42", script)
  raised(host$predictor_of(script), "defines no function \"predict\"")
})

cat(if (failures) sprintf("%d failed\n", failures) else "all passed\n")
quit(save = "no", status = as.integer(failures > 0L))
