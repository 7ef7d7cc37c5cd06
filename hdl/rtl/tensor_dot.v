// One block of a matrix unit: d = c + sum of a[i] * b[i], binary16 operands, binary32 c and d.
//
// The terms are aligned to the largest exponent, cut toward zero FRACTION_BITS below it, added exactly, and the sum is
// truncated to binary32. Exponents of products are those of their factors added, without normalisation. Every NaN
// result is 7FFFFFFF and every zero +0. Parameters of NVIDIA's units: V100 4, 23, -131; A100 8, 24, -132;
// H100 16, 25, -133. Lane i of a and b is [16*i +: 16].
module tensor_dot #(
    parameter [31:0] TERMS = 8,
    parameter [31:0] FRACTION_BITS = 24,
    parameter signed [9:0] ZERO_EXPONENT = -132
) (
    input  [16*TERMS-1:0] a,
    input  [16*TERMS-1:0] b,
    input  [31:0]         c,
    output [31:0]         d
);
    localparam [31:0] F = FRACTION_BITS;
    localparam [31:0] WIDTH = F + 3 + $clog2(TERMS + 1);  // of the sum, with its sign
    localparam LEVELS = $clog2(WIDTH);
    localparam signed [9:0] TOP = WIDTH[9:0] - 10'd1 - F[9:0];  // of the sum, over the largest exponent
    localparam signed [9:0] EMIN = -10'sd126;

    function [9:0] exponent16;  // biased; subnormal numbers count with the smallest normal exponent
        input [4:0] field;
        exponent16 = field == 0 ? 10'd1 : {5'b0, field};
    endfunction

    function [21:0] significand16;
        input [14:0] x;
        significand16 = {11'b0, x[14:10] != 0, x[9:0]};
    endfunction

    wire [9:0] c_biased = c[30:23] == 0 ? 10'd1 : {2'b0, c[30:23]};
    wire [23:0] c_significand = {c[30:23] != 0, c[22:0]};
    wire signed [9:0] c_exponent = c_biased - 10'd127;

    reg nan, plus_infinity, minus_infinity;
    reg signed [9:0] largest, exponent;
    reg signed [WIDTH-1:0] sum;
    /* verilator lint_off UNUSEDSIGNAL */
    reg [F+23:0] term;  // its upper bits are zero once shifted
    /* verilator lint_on UNUSEDSIGNAL */
    reg [21:0] product;
    reg [15:0] x, y;
    reg [9:0] distance;
    integer i;
    always @* begin
        nan = c[30:0] > 31'h7f800000;
        plus_infinity = c == 32'h7f800000;
        minus_infinity = c == 32'hff800000;
        largest = c_significand != 0 & c_exponent > ZERO_EXPONENT ? c_exponent : ZERO_EXPONENT;
        for (i = 0; i < TERMS; i = i + 1) begin
            x = a[16*i +: 16];
            y = b[16*i +: 16];
            if (x[14:0] > 15'h7c00 | y[14:0] > 15'h7c00) nan = 1'b1;
            else if (x[14:0] == 15'h7c00 | y[14:0] == 15'h7c00) begin
                if (x[14:0] == 0 | y[14:0] == 0) nan = 1'b1;
                else if (x[15] ^ y[15]) minus_infinity = 1'b1;
                else plus_infinity = 1'b1;
            end
            product = significand16(x[14:0]) * significand16(y[14:0]);
            exponent = exponent16(x[14:10]) + exponent16(y[14:10]) - 10'd30;
            if (product != 0 & exponent > largest) largest = exponent;
        end
        // A term is (significand << F) >> (distance + places of its significand): cut toward zero.
        distance = largest - c_exponent + 10'd23;
        term = {c_significand, {F{1'b0}}} >> distance;
        if (c_significand == 0) term = 0;
        sum = c[31] ? -$signed({1'b0, term[WIDTH-2:0]}) : $signed({1'b0, term[WIDTH-2:0]});
        for (i = 0; i < TERMS; i = i + 1) begin
            x = a[16*i +: 16];
            y = b[16*i +: 16];
            product = significand16(x[14:0]) * significand16(y[14:0]);
            exponent = exponent16(x[14:10]) + exponent16(y[14:10]) - 10'd30;
            distance = largest - exponent + 10'd20;
            term = {2'b00, product, {F{1'b0}}} >> distance;
            if (product == 0) term = 0;
            if (x[15] ^ y[15]) sum = sum - $signed({1'b0, term[WIDTH-2:0]});
            else sum = sum + $signed({1'b0, term[WIDTH-2:0]});
        end
    end

    // Truncation to binary32: normalise, shift into the subnormal range where needed, keep 24 bits.
    reg [WIDTH-1:0] normal;
    reg signed [9:0] leading;
    reg [9:0] below;
    reg [23:0] kept;
    reg [7:0] field;
    integer level;
    always @* begin
        normal = sum < 0 ? -sum : sum;
        leading = largest + TOP;
        for (level = LEVELS - 1; level >= 0; level = level - 1)
            if (normal >> (WIDTH - (1 << level)) == 0) begin
                normal = normal << (1 << level);
                leading = leading - (10'sd1 <<< level);
            end
        below = leading < EMIN ? EMIN - leading : 10'd0;
        kept = normal[WIDTH-1 -: 24] >> below;
        field = leading < EMIN ? 8'd0 : leading[7:0] + 8'd126;
    end
    // Nothing overflows: beside a C near the largest number every product is cut to zero.
    wire [30:0] magnitude = {field, 23'b0} + {7'b0, kept};

    assign d = nan | (plus_infinity & minus_infinity) ? 32'h7fffffff :
               plus_infinity ? 32'h7f800000 :
               minus_infinity ? 32'hff800000 :
               sum == 0 ? 32'h00000000 : {sum < 0, magnitude};
endmodule
