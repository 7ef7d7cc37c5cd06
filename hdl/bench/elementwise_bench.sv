// Checks a binary16 design against a halfsim vector file: every row, value and flags, bit for bit.
//
// Compile with -DDESIGN=module, and -DTHREE_OPERANDS for an fma; run with
//   +vectors=FILE +rounding=0..4 +tininess_before=0|1   what the file's header says
//   +rows=N         rows in the file; or compile with -DPARAMETERS='"FILE_params.vh"', its companion, which says so
//   +limit=N        mismatches to print, then stop (10)
//   +ignore_flags   compare values alone, for a design that has no flags
// A row is A_B_Z_FF or A_B_C_Z_FF in hexadecimal. Ends with a PASS or FAIL line, and a non-zero status on FAIL.
`ifdef THREE_OPERANDS
`define OPERANDS 3
`else
`define OPERANDS 2
`endif

module elementwise_bench;
    localparam WIDTH = 16 * (`OPERANDS + 1) + 8;
    parameter MAX_ROWS = 1 << 18;
`ifdef PARAMETERS
    `include `PARAMETERS
`else
    localparam VECTOR_ROWS = 0;
`endif
    // No row is all ones (that would raise eight flags), so rows that the file does not have can be told.
    localparam [WIDTH-1:0] MISSING = {WIDTH{1'b1}};

    reg [WIDTH-1:0] rows [0:MAX_ROWS-1];
    reg [16*`OPERANDS-1:0] operands;
    reg [15:0] want;
    reg [7:0] want_flags;
    reg [2:0] rounding;
    reg tininess_before;
    wire [15:0] z;
    wire [4:0] flags;

    `DESIGN dut (
`ifdef THREE_OPERANDS
        .c(operands[15:0]),
`endif
        .a(operands[16*`OPERANDS-1 -: 16]),
        .b(operands[16*`OPERANDS-17 -: 16]),
        .rounding(rounding),
        .tininess_before(tininess_before),
        .z(z),
        .flags(flags)
    );

    reg [8*1024-1:0] file;
    integer count, limit, row, wrong, first, mode;
    reg ignore_flags;
    initial begin
        if (!$value$plusargs("vectors=%s", file)) $fatal(1, "pass +vectors=FILE");
        if (!$value$plusargs("rows=%d", count)) count = VECTOR_ROWS;
        if (!$value$plusargs("rounding=%d", mode) || mode < 0 || mode > 4) $fatal(1, "pass +rounding=0..4");
        rounding = mode[2:0];
        ignore_flags = $test$plusargs("ignore_flags") != 0;
        if (!$value$plusargs("tininess_before=%d", tininess_before)) $fatal(1, "pass +tininess_before=0 or 1");
        if (!$value$plusargs("limit=%d", limit)) limit = 10;
        if (count < 1 || count > MAX_ROWS) $fatal(1, "pass +rows=N, 1 to %0d", MAX_ROWS);
        for (row = 0; row < count; row = row + 1) rows[row] = MISSING;
        $readmemh(file, rows, 0, count - 1);

        wrong = 0;
        first = 0;
        for (row = 0; row < count && wrong < limit; row = row + 1) begin
            if (rows[row] === MISSING) $fatal(1, "the file ends after %0d of %0d rows", row, count);
            {operands, want, want_flags} = rows[row];
            #1;
            if (z !== want || (!ignore_flags && {3'b000, flags} !== want_flags)) begin
                wrong = wrong + 1;
                if (wrong == 1) first = row + 1;
                $display("row %0d: operands %h gave %h_%h, want %h_%h", row + 1, operands, z, {3'b000, flags}, want, want_flags);
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
