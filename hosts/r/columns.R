# Columns as a model sees them, and as bytes: the one place where a datatype meets its R values.
#
#     BOOL                     logical
#     INT8 UINT8 INT16 UINT16  integer
#     INT32 UINT32             numeric: R's integer has no -2^31
#     INT64 UINT64             numeric, rounded beyond 2^53 as any number of R; exactly, as decimal text, for a model that asks for `exact`
#     FP16 FP32 FP64           numeric
#     BYTES                    character, UTF-8; U+0000, which R's texts cannot hold, is the two bytes C0 80
#
# A null is NA, which R tells apart from NaN. A tensor is a matrix, or an array, whose first dimension is the rows.

two_32 <- 2^32
exact <- 2^53
long <- c("INT64", "UINT64")

item_bytes <- c(
  BOOL = 1L, UINT8 = 1L, UINT16 = 2L, UINT32 = 4L, UINT64 = 8L, INT8 = 1L, INT16 = 2L, INT32 = 4L, INT64 = 8L,
  FP16 = 2L, FP32 = 4L, FP64 = 8L, BYTES = 0L
)

# One input or output of the contract, from LOAD.
field_of <- function(document) {
  shape <- as.integer(unlist(document$shape))
  if (!document$datatype %in% names(item_bytes)) {
    stop(sprintf("field \"%s\" has the datatype %s, which this host does not know", document$name, document$datatype))
  }
  list(
    name = document$name, datatype = document$datatype, shape = shape, nullable = isTRUE(document$nullable),
    elements = as.integer(prod(shape)) # of one row
  )
}

# The column of some bytes, as a model sees it. `nulls` are the rows that are null; `read` is `read_values`, or `read_exact` for whole
# numbers of 64 bits as texts. What class a column has says its datatype alone, never a value in it: those of other requests are there.
read_column <- function(field, data, nulls, rows, read = read_values) {
  values <- read(field$datatype, data, rows * field$elements)
  if (length(field$shape)) {
    # On the wire the last dimension runs fastest, in R the first.
    extents <- c(rows, field$shape)
    values <- aperm(array(values, rev(extents)), rev(seq_along(extents)))
  }
  if (length(nulls)) values <- set_rows(values, nulls, NA)
  values
}

set_rows <- function(values, rows, value) {
  extents <- dim(values)
  if (length(extents) < 2L) {
    values[rows] <- value
    return(values)
  }
  dim(values) <- c(extents[1L], prod(extents[-1L]))
  values[rows, ] <- value
  dim(values) <- extents
  values
}

read_values <- function(datatype, data, count) {
  switch(datatype,
    BOOL = data == as.raw(1L),
    UINT8 = readBin(data, "integer", count, size = 1L, signed = FALSE),
    INT8 = readBin(data, "integer", count, size = 1L),
    UINT16 = readBin(data, "integer", count, size = 2L, signed = FALSE, endian = "little"),
    INT16 = readBin(data, "integer", count, size = 2L, endian = "little"),
    UINT32 = unsigned(readBin(data, "integer", count, size = 4L, endian = "little")),
    INT32 = signed(readBin(data, "integer", count, size = 4L, endian = "little")),
    UINT64 =,
    INT64 = rounded(long_words(datatype, data, count)),
    FP16 = read_half(data, count),
    FP32 = readBin(data, "numeric", count, size = 4L, endian = "little"),
    FP64 = readBin(data, "double", count, endian = "little"),
    BYTES = read_texts(data, count)
  )
}

# Four bytes that R takes for NA are -2^31.
signed <- function(words) {
  wide <- as.double(words)
  wide[is.na(words)] <- -2^31
  wide
}

unsigned <- function(words) {
  wide <- signed(words)
  wide + (wide < 0) * two_32
}

# Whole numbers of 64 bits in two words; the high one has the sign.
long_words <- function(datatype, data, count) {
  words <- matrix(readBin(data, "integer", 2L * count, size = 4L, endian = "little"), nrow = 2L)
  of_high <- if (datatype == "INT64") signed else unsigned
  list(low = unsigned(words[1L, ]), high = of_high(words[2L, ]))
}

rounded <- function(words) words$high * two_32 + words$low

# INT64 and UINT64 as decimal texts.
read_exact <- function(datatype, data, count) {
  words <- long_words(datatype, data, count)
  values <- rounded(words)
  texts <- sprintf("%.0f", values)
  large <- abs(values) >= exact # 2^53 itself may be the rounding of 2^53 + 1
  texts[large] <- large_texts(words$low[large], words$high[large])
  texts
}

large_texts <- function(low, high) {
  is_below <- high < 0
  high <- ifelse(is_below, -high - (low > 0), high)
  low <- ifelse(is_below & low > 0, two_32 - low, low)
  # Long division by 10^9, 16 bits at a time: every number on the way is below 2^53.
  upper <- high %% 1e9 * 65536 + low %/% 65536
  lower <- upper %% 1e9 * 65536 + low %% 65536
  quotient <- high %/% 1e9 * two_32 + upper %/% 1e9 * 65536 + lower %/% 1e9
  sprintf("%s%.0f%09.0f", ifelse(is_below, "-", ""), quotient, lower %% 1e9)
}

read_half <- function(data, count) {
  bits <- readBin(data, "integer", count, size = 2L, signed = FALSE, endian = "little")
  fraction <- bitwAnd(bits, 1023L)
  exponent <- bitwAnd(bitwShiftR(bits, 10L), 31L)
  size <- ifelse(exponent == 0L, fraction * 2^-24, (1024 + fraction) * 2^(exponent - 25))
  size[exponent == 31L] <- ifelse(fraction[exponent == 31L] == 0L, Inf, NaN)
  ifelse(bits >= 32768L, -size, size)
}

# Each text follows its length in four bytes. Lengths are found one after the other; the texts then come apart at once, by a byte that
# UTF-8 does not have.
read_texts <- function(data, count) {
  if (count == 0L) return(character())
  begins <- text_begins(as.integer(data), count)
  keep <- rep(TRUE, length(data))
  keep[c(begins, begins + 1L, begins + 2L)] <- FALSE
  data[begins + 3L] <- as.raw(255L)
  data <- data[keep]
  zeros <- which(data == as.raw(0L))
  if (length(zeros)) {
    data <- rep(data, 1L + (data == as.raw(0L)))
    zeros <- zeros + seq_along(zeros) - 1L
    data[zeros] <- as.raw(192L)
    data[zeros + 1L] <- as.raw(128L)
  }
  # The separator of the first text stands before it: the piece before that is empty.
  texts <- strsplit(rawToChar(c(data[-1L], as.raw(255L))), "\xff", fixed = TRUE, useBytes = TRUE)[[1L]]
  Encoding(texts) <- "UTF-8"
  texts
}

text_begins <- function(bytes, count) {
  begins <- integer(count)
  at <- 1L
  for (index in seq_len(count)) {
    begins[index] <- at
    at <- at + 4L + bytes[at] + 256L * bytes[at + 1L] + 65536L * bytes[at + 2L] + 16777216L * bytes[at + 3L]
  }
  begins
}

# The bytes of a column that a model gave back: list(data, nulls), nulls is NULL where no row is.
write_column <- function(field, values, rows) {
  if (is.factor(values)) values <- as.character(values)
  is_bits <- inherits(values, "integer64")
  if (is.data.frame(values)) values <- as.matrix(values)
  if (!is.atomic(values) || is.null(values)) broken(field, sprintf("is %s, no vector", class(values)[1L]))
  values <- flat(field, unclass(values), rows)
  gone <- if (is_bits) is_bits_of_na(values) else is.na(values) & !is_nan(values)
  nulls <- null_rows(field, gone, rows)
  values[gone] <- if (!is.character(values)) 0 else if (field$datatype == "BYTES") "" else "0"
  list(data = if (is_bits) write_bits(field, values) else write_values(field, values), nulls = nulls)
}

is_nan <- function(values) if (is.double(values)) is.nan(values) else FALSE

# All elements row after row, as they are on the wire.
flat <- function(field, values, rows) {
  if (length(values) != rows * field$elements) {
    broken(field, sprintf("has %d values where %d rows need %d", length(values), rows, rows * field$elements))
  }
  if (!length(field$shape)) return(as.vector(values))
  extents <- c(rows, field$shape)
  if (!is.null(dim(values)) && dim(values)[1L] != rows) {
    broken(field, sprintf("is an array of %d rows where %d were asked for", dim(values)[1L], rows))
  }
  dim(values) <- extents # names of rows and columns say nothing here
  as.vector(aperm(values, rev(seq_along(extents))))
}

null_rows <- function(field, gone, rows) {
  if (!any(gone)) return(NULL)
  if (!field$nullable) broken(field, "has an NA and is not nullable")
  counts <- colSums(matrix(gone, nrow = field$elements))
  if (any(counts != 0 & counts != field$elements)) broken(field, "has an NA within a row: a row is null as a whole")
  as.raw(counts != 0)
}

write_values <- function(field, values) {
  datatype <- field$datatype
  if (datatype == "BYTES") {
    if (!is.character(values)) broken(field, sprintf("is %s, no text", typeof(values)))
    return(write_texts(field, values))
  }
  if (is.character(values) && datatype %in% long) return(write_exact(field, values))
  if (!is.numeric(values) && !is.logical(values)) broken(field, sprintf("is %s: no %s", typeof(values), datatype))
  switch(datatype,
    BOOL = as.raw(in_range(field, values, 0, 1)),
    FP16 = write_half(field, as.double(values)),
    FP32 = write_float(field, as.double(values)),
    FP64 = writeBin(as.double(values), raw(), endian = "little"),
    UINT8 = writeBin(as.integer(in_range(field, values, 0, 255)), raw(), size = 1L),
    INT8 = writeBin(as.integer(in_range(field, values, -128, 127)), raw(), size = 1L),
    UINT16 = writeBin(as.integer(in_range(field, values, 0, 65535)), raw(), size = 2L, endian = "little"),
    INT16 = writeBin(as.integer(in_range(field, values, -32768, 32767)), raw(), size = 2L, endian = "little"),
    UINT32 = write_words(in_range(field, values, 0, two_32 - 1)),
    INT32 = write_words(in_range(field, values, -2^31, 2^31 - 1)),
    UINT64 = write_long(in_range(field, one_number(field, values), 0, exact)),
    INT64 = write_long(in_range(field, one_number(field, values), -exact, exact))
  )
}

in_range <- function(field, values, least, most) {
  wrong <- which(is.na(values) | values < least | values > most | values != trunc(values)) # a NaN is no whole number either
  if (length(wrong)) {
    row <- (wrong[1L] - 1L) %/% field$elements
    broken(field, sprintf("is %s in row %d: no %s", format(values[wrong[1L]], digits = 17L), row, field$datatype))
  }
  values
}

# Whole numbers from -2^31 to 2^32 - 1; NA_integer_ has the bits of -2^31.
write_words <- function(values) {
  values <- as.double(values)
  words <- suppressWarnings(as.integer(values - (values >= 2^31) * two_32))
  writeBin(words, raw(), size = 4L, endian = "little")
}

write_long <- function(values) {
  values <- as.double(values)
  high <- floor(values / two_32)
  write_words(rbind(values - high * two_32, high))
}

# A number of R that is the nearest to several whole ones is none of them: its last digits are made up.
one_number <- function(field, values) {
  wrong <- which(abs(values) >= exact & is.finite(values))
  if (length(wrong)) {
    row <- (wrong[1L] - 1L) %/% field$elements
    broken(field, sprintf(
      "is %.0f in row %d: R's numbers name one %s each only below 2^53; give such ones as decimal text, as `exact` has them",
      values[wrong[1L]], row, field$datatype
    ))
  }
  values
}

# Decimal texts as INT64 or UINT64.
write_exact <- function(field, texts) {
  is_signed <- field$datatype == "INT64"
  digits <- sub("^0+(?=[0-9])", "", sub("^-", "", texts), perl = TRUE)
  is_below <- startsWith(texts, "-")
  size <- nchar(digits)
  wrong <- which(!grepl("^-?[0-9]+$", texts) | size > 20L | (is_below & !is_signed & digits != "0"))
  if (!length(wrong)) {
    quotient <- as.double(paste0("0", substr(digits, 1L, size - 9L)))
    rest <- as.double(substr(digits, pmax(1L, size - 8L), size))
    # The largest: 2^64 - 1, 2^63 - 1, and 2^63 below zero.
    most <- if (is_signed) 9223372036 else 18446744073
    last <- if (is_signed) 854775807 + is_below else 709551615
    wrong <- which(quotient > most | (quotient == most & rest > last))
  }
  if (length(wrong)) {
    row <- (wrong[1L] - 1L) %/% field$elements
    broken(field, sprintf("is \"%s\" in row %d: no %s", substr(texts[wrong[1L]], 1L, 40L), row, field$datatype))
  }
  # quotient * 10^9 + rest, 16 bits at a time: every number on the way is below 2^53.
  lower <- quotient %% 65536 * 1e9 + rest
  upper <- quotient %/% 65536 * 1e9 + lower %/% 65536
  low <- upper %% 65536 * 65536 + lower %% 65536
  high <- upper %/% 65536
  high <- ifelse(is_below, (two_32 - high - (low > 0)) %% two_32, high)
  low <- ifelse(is_below & low > 0, two_32 - low, low)
  write_words(rbind(low, high))
}

# The vectors of the package bit64 are the bits of whole numbers in R's doubles.
write_bits <- function(field, values) {
  if (!field$datatype %in% long) broken(field, sprintf("is of class integer64: no %s", field$datatype))
  bytes <- writeBin(values, raw(), endian = "little")
  if (field$datatype == "UINT64" && any(bytes[seq_along(values) * 8L] >= as.raw(0x80))) broken(field, "is below zero: no UINT64")
  bytes
}

# bit64's NA has the bits of -2^63.
is_bits_of_na <- function(values) {
  bytes <- matrix(writeBin(values, raw(), endian = "little"), nrow = 8L)
  colSums(bytes != as.raw(c(0, 0, 0, 0, 0, 0, 0, 128))) == 0
}

write_float <- function(field, values) {
  bytes <- writeBin(values, raw(), size = 4L, endian = "little")
  if (any(is.finite(values) & is.infinite(readBin(bytes, "numeric", length(values), size = 4L, endian = "little")))) {
    broken(field, "is beyond what FP32 holds")
  }
  bytes
}

write_half <- function(field, values) {
  size <- abs(values)
  plain <- is.finite(size) & size > 0
  exponent <- rep(-14, length(size))
  exponent[plain] <- pmax(floor(log2(size[plain])), -14)
  bits <- (exponent + 14) * 1024 + size * 2^(10 - exponent)
  bits[is.infinite(size)] <- 31744
  bits[is.nan(size)] <- 32256
  if (any(bits != trunc(bits)) || any(bits[plain] >= 31744)) broken(field, "holds a number that is no FP16")
  is_below <- values < 0 | (values == 0 & 1 / values < 0)
  is_below[is.nan(size)] <- FALSE
  writeBin(as.integer(bits + 32768 * is_below), raw(), size = 2L, endian = "little")
}

write_texts <- function(field, texts) {
  texts <- enc2utf8(texts)
  if (!length(texts)) return(raw())
  has_zeros <- grepl("\xc0\x80", texts, fixed = TRUE, useBytes = TRUE)
  wrong <- which(!has_zeros & !validUTF8(texts))
  if (length(wrong)) broken(field, sprintf("is no UTF-8 in row %d", (wrong[1L] - 1L) %/% field$elements))
  if (any(has_zeros)) return(write_texts_with_zeros(texts))
  sizes <- nchar(texts, type = "bytes")
  bytes <- raw(sum(sizes) + 4L * length(texts))
  begins <- cumsum(c(0, sizes[-length(sizes)] + 4)) + 1
  places <- as.vector(rbind(begins, begins + 1, begins + 2, begins + 3))
  bytes[places] <- writeBin(sizes, raw(), size = 4L, endian = "little")
  if (sum(sizes)) bytes[-places] <- charToRaw(paste(texts, collapse = ""))
  bytes
}

write_texts_with_zeros <- function(texts) {
  unlist(lapply(texts, function(text) {
    bytes <- charToRaw(text)
    marks <- which(bytes == as.raw(192L)) # a byte that UTF-8 has nowhere else
    bytes[marks] <- as.raw(0L)
    if (length(marks)) bytes <- bytes[-(marks + 1L)]
    c(writeBin(length(bytes), raw(), size = 4L, endian = "little"), bytes)
  }))
}

broken <- function(field, what) {
  stop(structure(
    class = c("output_broken", "error", "condition"),
    list(message = sprintf("output \"%s\" %s", field$name, what), call = NULL)
  ))
}
