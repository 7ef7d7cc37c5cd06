// binary16 fused multiply-add, a * b + c with one rounding. NaN results are the canonical 7E00, as RISC-V has them;
// infinity * 0 + NaN is invalid.
module binary16_fma (
    input  [15:0] a,
    input  [15:0] b,
    input  [15:0] c,
    input  [2:0]  rounding,
    input         tininess_before,
    output [15:0] z,
    output [4:0]  flags
);
    wire product_sign = a[15] ^ b[15];
    wire [5:0] a_exponent = a[14:10] == 0 ? 6'd1 : {1'b0, a[14:10]};
    wire [5:0] b_exponent = b[14:10] == 0 ? 6'd1 : {1'b0, b[14:10]};
    wire [5:0] c_exponent = c[14:10] == 0 ? 6'd1 : {1'b0, c[14:10]};
    wire [21:0] a_significand = {11'b0, a[14:10] != 0, a[9:0]};
    wire [21:0] b_significand = {11'b0, b[14:10] != 0, b[9:0]};
    wire [10:0] c_significand = {c[14:10] != 0, c[9:0]};

    // Fixed point with 48 bits below the point holds every product and every addend, so the sum is exact.
    wire [21:0] product = a_significand * b_significand;
    wire [5:0] product_shift = a_exponent + b_exponent - 6'd2;
    wire [5:0] addend_shift = c_exponent + 6'd23;
    wire [79:0] product_term = {58'b0, product} << product_shift;
    wire [79:0] addend_term = {69'b0, c_significand} << addend_shift;

    wire opposite = product_sign ^ c[15];
    wire larger_addend = addend_term > product_term;
    wire [79:0] sum = !opposite ? product_term + addend_term :
                      larger_addend ? addend_term - product_term : product_term - addend_term;
    wire zero_sign = opposite ? rounding == 3'd2 : c[15];
    wire sign = sum == 0 ? zero_sign : larger_addend ? c[15] : product_sign;

    wire [15:0] rounded;
    wire [4:0] rounded_flags;
    binary16_round #(.WIDTH(80), .LEVELS(7)) round (
        .sign(sign), .exponent(-8'sd48), .magnitude(sum), .rounding(rounding),
        .tininess_before(tininess_before), .z(rounded), .flags(rounded_flags)
    );

    wire a_infinite = a[14:0] == 15'h7c00;
    wire b_infinite = b[14:0] == 15'h7c00;
    wire c_infinite = c[14:0] == 15'h7c00;
    wire a_nan = a[14:0] > 15'h7c00;
    wire b_nan = b[14:0] > 15'h7c00;
    wire c_nan = c[14:0] > 15'h7c00;
    wire any_nan = a_nan | b_nan | c_nan;
    wire signaling = (a_nan & ~a[9]) | (b_nan & ~b[9]) | (c_nan & ~c[9]);
    wire zero_times_infinity = (a_infinite & b[14:0] == 0) | (b_infinite & a[14:0] == 0);
    wire product_infinite = (a_infinite | b_infinite) & ~(a_nan | b_nan);
    wire difference_of_infinities = product_infinite & c_infinite & opposite;
    wire invalid = signaling | zero_times_infinity | difference_of_infinities;
    wire special = any_nan | a_infinite | b_infinite | c_infinite;

    assign z = any_nan | invalid ? 16'h7e00 : product_infinite ? {product_sign, 15'h7c00} : c_infinite ? c : rounded;
    assign flags = special ? {invalid, 4'h0} : rounded_flags;
endmodule
