// Checks a tensor-core dot unit against a file of dot products.
//
// Compile with -Pdot_bench.TERMS=..., FRACTION_BITS and ZERO_EXPONENT (Verilator: -G); run with
//   +vectors=FILE +rows=N +limit=N
// A row is A_B_C_D in hexadecimal: the lanes of A, lane 0 first, those of B, then C and D in binary32.

module dot_bench;
    parameter [31:0] TERMS = 8;
    parameter [31:0] FRACTION_BITS = 24;
    parameter signed [31:0] ZERO_EXPONENT = -132;
    localparam WIDTH = 32 * TERMS + 64;
    parameter MAX_ROWS = 1 << 18;
    // D is never this NaN, so rows that the file does not have can be told.
    localparam [31:0] MISSING = 32'hffffffff;

    reg [WIDTH-1:0] rows [0:MAX_ROWS-1];
    reg [16*TERMS-1:0] first_lane_a, first_lane_b;
    reg [16*TERMS-1:0] a, b;
    reg [31:0] c, want;
    wire [31:0] d;

    tensor_dot #(
        .TERMS(TERMS), .FRACTION_BITS(FRACTION_BITS), .ZERO_EXPONENT(ZERO_EXPONENT[9:0])
    ) dut (.a(a), .b(b), .c(c), .d(d));

    reg [8*1024-1:0] file;
    integer count, limit, row, wrong, first, lane;
    initial begin
        if (!$value$plusargs("vectors=%s", file)) $fatal(1, "pass +vectors=FILE");
        if (!$value$plusargs("rows=%d", count)) $fatal(1, "pass +rows=N, the number of rows in the file");
        if (!$value$plusargs("limit=%d", limit)) limit = 10;
        if (count < 1 || count > MAX_ROWS) $fatal(1, "+rows=%0d is not from 1 to %0d", count, MAX_ROWS);
        for (row = 0; row < count; row = row + 1) rows[row] = {WIDTH{1'b1}};
        $readmemh(file, rows, 0, count - 1);

        wrong = 0;
        first = 0;
        for (row = 0; row < count && wrong < limit; row = row + 1) begin
            {first_lane_a, first_lane_b, c, want} = rows[row];
            if (want === MISSING) $fatal(1, "the file ends after %0d of %0d rows", row, count);
            for (lane = 0; lane < TERMS; lane = lane + 1) begin
                a[16*lane +: 16] = first_lane_a[16*(TERMS-1-lane) +: 16];
                b[16*lane +: 16] = first_lane_b[16*(TERMS-1-lane) +: 16];
            end
            #1;
            if (d !== want) begin
                wrong = wrong + 1;
                if (wrong == 1) first = row + 1;
                $display("row %0d: A %h B %h C %h gave %h, want %h", row + 1, first_lane_a, first_lane_b, c, d, want);
            end
        end
        if (wrong != 0) begin
            $display("FAIL first=%0d", first);
            $fatal(1, "%0d or more rows disagree", wrong);
        end
        $display("PASS rows=%0d", count);
        $finish;
    end
endmodule
