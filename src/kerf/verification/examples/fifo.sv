// A FIFO that takes a word while it is full if one leaves in the same cycle. Four of its assertions hold; one shows a bug.
module fifo #(parameter W = 8, parameter D = 4) (
  input  logic clk, rst, push, pop,
  input  logic [W-1:0] din,
  output logic [W-1:0] dout,
  output logic full, empty,
  output logic [$clog2(D):0] count
);
  localparam A = $clog2(D);
  logic [W-1:0] store [D];
  logic [A-1:0] head, tail;

  wire fitting = push && !full;
  wire taking = push && (!full || pop);
  wire giving = pop && !empty;
  assign full  = count == D;
  assign empty = count == 0;
  assign dout  = store[head];

  always_ff @(posedge clk)
    if (rst) begin
      head  <= 0;
      tail  <= 0;
      count <= 0;
    end else begin
      if (taking) begin
        store[tail] <= din;
        tail <= tail + 1'b1;
      end
      if (giving) head <= head + 1'b1;
      case ({fitting, giving})
        2'b10: count <= count + 1'b1;
        2'b01: count <= count - 1'b1;
        default: ;
      endcase
    end

  in_range:  assert property (@(posedge clk) disable iff (rst) count <= D);
  apart:     assert property (@(posedge clk) disable iff (rst) full |-> !empty);
  one_more:  assert property (@(posedge clk) disable iff (rst) taking && !giving |=> count == $past(count) + 1'b1);
  open:      assert property (@(posedge clk) disable iff (rst) push && !full |=> !empty);
  agree:     assert property (@(posedge clk) disable iff (rst) A'(count) == A'(tail - head));
endmodule
