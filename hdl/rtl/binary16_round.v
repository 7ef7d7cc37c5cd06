// Rounds an exact value to binary16, once: z = round((-1)**sign * magnitude * 2**exponent).
//
// magnitude[0] may be sticky when at least two bits lie between it and the last bit kept. A zero keeps its sign.
// rounding: 0 to nearest even, 1 toward zero, 2 down, 3 up, 4 to nearest, ties away (RISC-V's rm).
// tininess_before: 0 tininess is detected after rounding, 1 before. flags: invalid, divideByZero, overflow, underflow,
// inexact (RISC-V's fflags).
module binary16_round #(
    parameter WIDTH  = 22,  // bits of the magnitude, 13 or more
    parameter LEVELS = 5    // stages of the normaliser: 2**(LEVELS-1) < WIDTH <= 2**LEVELS
) (
    input                    sign,
    input  signed [7:0]      exponent,
    input  [WIDTH-1:0]       magnitude,
    input  [2:0]             rounding,
    input                    tininess_before,
    output [15:0]            z,
    output [4:0]             flags
);
    localparam signed [7:0] EMIN = -8'sd14;
    localparam signed [7:0] TOP = WIDTH - 1;

    // Whether a magnitude is rounded away from zero: odd is its last bit, guard the bit below, rest the OR of the others.
    // All it needs are arguments: a function in a continuous assignment is evaluated again when these change.
    function increment;
        input [2:0] mode;
        input negative, odd, guard, rest;
        case (mode)
            3'd0: increment = guard & (rest | odd);
            3'd2: increment = negative & (guard | rest);
            3'd3: increment = ~negative & (guard | rest);
            3'd4: increment = guard;
            default: increment = 1'b0;
        endcase
    endfunction

    reg  [WIDTH-1:0] normal;
    reg  signed [7:0] leading;  // exponent of the leading one
    integer level;
    always @* begin
        normal = magnitude;
        leading = exponent + TOP;
        for (level = LEVELS - 1; level >= 0; level = level - 1)
            if (normal >> (WIDTH - (1 << level)) == 0) begin
                normal = normal << (1 << level);
                leading = leading - (8'sd1 <<< level);
            end
    end

    // Eleven bits, guard and sticky: first as if exponents had no end, then shifted into the subnormal range.
    wire [12:0] unbounded = {normal[WIDTH-1 -: 12], |normal[WIDTH-13:0]};
    wire below = leading < EMIN;
    wire [7:0] distance = EMIN - leading;
    wire [3:0] shift = !below ? 4'd0 : distance > 8'd13 ? 4'd13 : distance[3:0];
    wire [12:0] lost = unbounded & ~(13'h1fff << shift);
    wire [12:0] bounded = (unbounded >> shift) | {12'b0, |lost};

    wire up = increment(rounding, sign, bounded[2], bounded[1], bounded[0]);
    wire carries = &unbounded[12:2] & increment(rounding, sign, unbounded[2], unbounded[1], unbounded[0]);
    wire reaches_emin = leading == EMIN - 8'sd1 & carries;
    wire tiny = below & (tininess_before | ~reaches_emin);

    // A carry out of the significand runs into the exponent field, which is what it means.
    wire [7:0] field = below ? 8'd0 : leading + 8'sd14;
    wire [17:0] rounded = {field, 10'b0} + {7'b0, bounded[12:2]} + {17'b0, up};
    wire inexact = bounded[1] | bounded[0];
    wire overflow = rounded >= 18'h07c00;
    wire stays_finite = rounding == 3'd1 | (rounding == 3'd2 & ~sign) | (rounding == 3'd3 & sign);

    assign z = magnitude == 0 ? {sign, 15'h0000} :
               overflow ? {sign, stays_finite ? 15'h7bff : 15'h7c00} : {sign, rounded[14:0]};
    assign flags = magnitude == 0 ? 5'h00 : {2'b00, overflow, tiny & inexact, inexact | overflow};
endmodule
