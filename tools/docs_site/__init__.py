"""What the documentation site has besides its pages: parts that are made from the program itself."""
