// binary16 product. NaN results are the canonical 7E00, as RISC-V has them.
module binary16_multiply (
    input  [15:0] a,
    input  [15:0] b,
    input  [2:0]  rounding,
    input         tininess_before,
    output [15:0] z,
    output [4:0]  flags
);
    wire sign = a[15] ^ b[15];
    wire [7:0] a_exponent = a[14:10] == 0 ? 8'd1 : {3'b000, a[14:10]};
    wire [7:0] b_exponent = b[14:10] == 0 ? 8'd1 : {3'b000, b[14:10]};
    wire [21:0] a_significand = {11'b0, a[14:10] != 0, a[9:0]};
    wire [21:0] b_significand = {11'b0, b[14:10] != 0, b[9:0]};
    wire [21:0] product = a_significand * b_significand;

    wire [15:0] rounded;
    wire [4:0] rounded_flags;
    binary16_round #(.WIDTH(22), .LEVELS(5)) round (
        .sign(sign), .exponent(a_exponent + b_exponent - 8'd50), .magnitude(product), .rounding(rounding),
        .tininess_before(tininess_before), .z(rounded), .flags(rounded_flags)
    );

    wire a_infinite = a[14:0] == 15'h7c00;
    wire b_infinite = b[14:0] == 15'h7c00;
    wire a_nan = a[14:0] > 15'h7c00;
    wire b_nan = b[14:0] > 15'h7c00;
    wire signaling = (a_nan & ~a[9]) | (b_nan & ~b[9]);
    wire zero_times_infinity = (a_infinite & b[14:0] == 0) | (b_infinite & a[14:0] == 0);
    wire invalid = signaling | zero_times_infinity;
    wire infinite = a_infinite | b_infinite;

    assign z = a_nan | b_nan | invalid ? 16'h7e00 : infinite ? {sign, 15'h7c00} : rounded;
    assign flags = a_nan | b_nan | infinite ? {invalid, 4'h0} : rounded_flags;
endmodule
