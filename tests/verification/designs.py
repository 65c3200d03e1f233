"""Small designs of our own."""

from __future__ import annotations

from kerf.verification.design import Design, Source, read

FIFO = """\
module fifo #(parameter W = 4, parameter D = 4) (
  input  logic clk, rst, push, pop,
  input  logic [W-1:0] din,
  output logic [W-1:0] dout,
  output logic full, empty,
  output logic [$clog2(D):0] count
);
  localparam A = $clog2(D);
  logic [W-1:0] store [0:D-1];
  logic [A-1:0] head, tail;
  wire taking = push && !full;
  wire giving = pop && !empty;
  assign full  = count == D;
  assign empty = count == 0;
  assign dout  = store[head];
  always_ff @(posedge clk)
    if (rst) begin
      head <= 0;
      tail <= 0;
      count <= 0;
    end else begin
      if (taking) begin
        store[tail] <= din;
        tail <= tail + 1'b1;
      end
      if (giving) head <= head + 1'b1;
      count <= count + (taking ? 1'b1 : 1'b0) - (giving ? 1'b1 : 1'b0);
    end
endmodule
"""

COUNTER = """\
module counter (input clk, input rst_n, input go, output reg [3:0] n, output wrapped);
  always @(posedge clk or negedge rst_n)
    if (!rst_n) n <= 4'd0;
    else if (go) n <= n == 4'd9 ? 4'd0 : n + 4'd1;
  assign wrapped = go && n == 4'd9;
endmodule
"""


def design(text: str, **how: object) -> Design:
    return read([Source("design.sv", text)], **how)  # type: ignore[arg-type]
