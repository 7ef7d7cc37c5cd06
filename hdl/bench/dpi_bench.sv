// Checks binary16_fma against the simulator itself, called through DPI: no file of vectors.
// The commands are in hdl/README.md; +rows=N says how many operands are drawn.
module dpi_bench;
    import halfsim_dpi_pkg::*;

    bit [15:0] a, b, c, want;
    bit [2:0] rounding;
    bit tininess_before;
    bit [7:0] want_flags;
    wire [15:0] z;
    wire [4:0] flags;

    binary16_fma dut (.a, .b, .c, .rounding, .tininess_before, .z, .flags);

    // Random patterns; every second one has a fraction of few bits, so that ties and cancellation are common.
    function automatic bit [15:0] draw();
        bit [31:0] random = $urandom;
        return random[31] ? random[15:0] : {random[15:10], 10'h3ff << random[19:16]};
    endfunction

    int count, row, wrong;
    int unsigned control;
    initial begin
        if ($value$plusargs("rows=%d", count) == 0) count = 1000000;
        for (row = 1; row <= count && wrong < 10; row++) begin
            a = draw();
            b = draw();
            c = row % 3 == 0 ? {~(a[15] ^ b[15]), 5'(a[14:10] + b[14:10] - 5'd15), a[9:0]} : draw();
            rounding = 3'(row % 5);
            tininess_before = row[0];
            control = HALFSIM_RISCV | {29'b0, rounding} | (tininess_before ? HALFSIM_TININESS_BEFORE : 0);
            want = halfsim_f16_fma(a, b, c, control, want_flags);
            #1;
            if (z != want || {3'b0, flags} != want_flags) begin
                wrong++;
                $display("row %0d: fma(%h, %h, %h), rounding %0d, tininess_before %b gave %h_%h, want %h_%h",
                         row, a, b, c, rounding, tininess_before, z, {3'b0, flags}, want, want_flags);
            end
        end
        if (wrong != 0) $fatal(1, "%0d or more rows disagree", wrong);
        $display("PASS rows=%0d", count);
        $finish;
    end
endmodule
