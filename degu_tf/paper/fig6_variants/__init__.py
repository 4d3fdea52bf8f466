"""Figure 6: effects of single-nucleotide variants."""
