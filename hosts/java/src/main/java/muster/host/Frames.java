package muster.host;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The frames of the binary wire. */
final class Frames {
  static final byte LOAD = 2;
  static final byte LOADED = 3;
  static final byte PREDICT = 4;
  static final byte ANSWER = 5;
  static final byte ERROR = 6;
  static final byte STOP = 9;

  private static final byte VERSION = 1;
  private static final int HEAD_BYTES = 16;
  private static final int CHUNK_BYTES = 1 << 16;
  /** One request, no time of its own, no notes: all that stands before the table of an answer. */
  private static final int ANSWER_LEAD_BYTES = 32;

  /**
   * One frame.
   *
   * @param kind what it is
   * @param sequence the number of the question
   * @param payload little-endian
   */
  record Frame(byte kind, long sequence, ByteBuffer payload) {}

  /**
   * The table of a question.
   *
   * @param rows of every column
   * @param columns in the order of the contract
   */
  record Table(int rows, List<Column> columns) {}

  private final DataInputStream in;
  private final OutputStream out;

  Frames(InputStream in, OutputStream out) {
    this.in = new DataInputStream(new BufferedInputStream(in, CHUNK_BYTES));
    this.out = out;
  }

  /** The next frame; null at the end. */
  Frame read() throws IOException {
    byte[] bytes = new byte[HEAD_BYTES];
    try {
      in.readFully(bytes);
      ByteBuffer head = little(bytes);
      if (head.get(5) != VERSION) {
        throw new IOException("not a frame of host protocol " + VERSION);
      }
      byte[] payload = new byte[head.getInt(0)];
      in.readFully(payload);
      return new Frame(head.get(4), head.getLong(8), little(payload));
    } catch (EOFException end) {
      return null;
    }
  }

  void writeJson(byte kind, long sequence, String document) throws IOException {
    byte[] payload = document.getBytes(StandardCharsets.UTF_8);
    write(frame(kind, sequence, payload.length).put(payload).array());
  }

  void writeAnswer(long sequence, int rows, List<Column> columns) throws IOException {
    long length = ANSWER_LEAD_BYTES + 8 + 16L * columns.size();
    for (Column column : columns) {
      length += padded(column.data().remaining()) + padded(column.nulls() == null ? 0 : column.nulls().length);
    }
    ByteBuffer frame = frame(ANSWER, sequence, Math.toIntExact(length));
    frame.putInt(1).putInt(0).putLong(0).putLong(0);
    frame.putInt(2).put((byte) '{').put((byte) '}').putShort((short) 0);
    frame.putInt(rows).putInt(columns.size());
    for (Column column : columns) {
      frame.putLong(column.data().remaining()).putLong(column.nulls() == null ? 0 : column.nulls().length);
    }
    for (Column column : columns) {
      put(frame, column.data().slice());
      put(frame, ByteBuffer.wrap(column.nulls() == null ? new byte[0] : column.nulls()));
    }
    write(frame.array());
  }

  /** The table of a PREDICT frame. */
  static Table table(ByteBuffer payload) {
    int at = (int) padded(8 + 4 * payload.getInt(0));
    int rows = payload.getInt(at);
    int count = payload.getInt(at + 4);
    int lengths = at + 8;
    at = lengths + 16 * count;
    List<Column> columns = new ArrayList<>(count);
    for (int index = 0; index < count; index++) {
      int bytes = Math.toIntExact(payload.getLong(lengths + 16 * index));
      int marks = Math.toIntExact(payload.getLong(lengths + 16 * index + 8));
      ByteBuffer data = payload.slice(at, bytes);
      at += (int) padded(bytes);
      byte[] nulls = marks == 0 ? null : new byte[marks];
      if (nulls != null) {
        payload.get(at, nulls);
      }
      at += (int) padded(marks);
      columns.add(new Column(data, nulls));
    }
    return new Table(rows, columns);
  }

  private static ByteBuffer frame(byte kind, long sequence, int length) {
    ByteBuffer frame = little(new byte[Math.addExact(HEAD_BYTES, length)]);
    return frame.putInt(length).put(kind).put(VERSION).putShort((short) 0).putLong(sequence);
  }

  private static void put(ByteBuffer frame, ByteBuffer bytes) {
    int length = bytes.remaining();
    frame.put(bytes).position(frame.position() + (int) padded(length) - length);
  }

  /** In pieces: a stream takes as much native memory as it is given at once. */
  private void write(byte[] bytes) throws IOException {
    for (int at = 0; at < bytes.length; at += CHUNK_BYTES) {
      out.write(bytes, at, Math.min(CHUNK_BYTES, bytes.length - at));
    }
    out.flush();
  }

  private static ByteBuffer little(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static long padded(long length) {
    return length + 7 & ~7L;
  }
}
