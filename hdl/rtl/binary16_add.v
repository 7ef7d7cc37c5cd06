// binary16 sum. NaN results are the canonical 7E00, as RISC-V has them.
module binary16_add (
    input  [15:0] a,
    input  [15:0] b,
    input  [2:0]  rounding,
    input         tininess_before,
    output [15:0] z,
    output [4:0]  flags
);
    wire swap = b[14:0] > a[14:0];
    wire [15:0] upper = swap ? b : a;
    wire [14:0] lower = swap ? a[14:0] : b[14:0];

    // Subnormal numbers have the exponent of the smallest normal ones and no hidden one.
    wire [4:0] upper_exponent = upper[14:10] == 0 ? 5'd1 : upper[14:10];
    wire [4:0] lower_exponent = lower[14:10] == 0 ? 5'd1 : lower[14:10];
    wire [13:0] upper_term = {upper[14:10] != 0, upper[9:0], 3'b000};
    wire [13:0] lower_term = {lower[14:10] != 0, lower[9:0], 3'b000};

    // Three bits below the last place hold guard, round and sticky.
    wire [4:0] distance = upper_exponent - lower_exponent;
    wire [13:0] lost = lower_term & ~(14'h3fff << distance);
    wire [13:0] aligned = (lower_term >> distance) | {13'b0, |lost};

    wire opposite = a[15] ^ b[15];
    wire [14:0] sum = opposite ? {1'b0, upper_term} - {1'b0, aligned} : {1'b0, upper_term} + {1'b0, aligned};
    wire zero_sign = opposite ? rounding == 3'd2 : a[15];
    wire sign = sum == 0 ? zero_sign : upper[15];

    wire [15:0] rounded;
    wire [4:0] rounded_flags;
    binary16_round #(.WIDTH(15), .LEVELS(4)) round (
        .sign(sign), .exponent({3'b000, upper_exponent} - 8'sd28), .magnitude(sum), .rounding(rounding),
        .tininess_before(tininess_before), .z(rounded), .flags(rounded_flags)
    );

    wire a_infinite = a[14:0] == 15'h7c00;
    wire b_infinite = b[14:0] == 15'h7c00;
    wire a_nan = a[14:0] > 15'h7c00;
    wire b_nan = b[14:0] > 15'h7c00;
    wire signaling = (a_nan & ~a[9]) | (b_nan & ~b[9]);
    wire invalid = signaling | (a_infinite & b_infinite & opposite);
    wire special = a_nan | b_nan | a_infinite | b_infinite;

    assign z = a_nan | b_nan | invalid ? 16'h7e00 : a_infinite ? a : b_infinite ? b : rounded;
    assign flags = special ? {invalid, 4'h0} : rounded_flags;
endmodule
